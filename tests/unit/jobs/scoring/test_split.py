from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.scoring.dataset import InputFile
from jobs.scoring.format import Piece, Shape
from jobs.scoring.split import Split, SplitSize, plan_splits


def file(path: str, version: str = "1") -> InputFile:
    return InputFile(path=path, size_bytes=100, version=version)


def shape(*rows: int | None, size_bytes: int = 10) -> Shape:
    pieces = (Piece(start=at, stop=at + 1, size_bytes=size_bytes, rows=count) for at, count in enumerate(rows))
    return Shape(schema=None, pieces=tuple(pieces))


def plan(
    *files: tuple[InputFile, Shape], size_bytes: int = 25, rows: int = 1000, fingerprint: object = 1
) -> list[Split]:
    return plan_splits(files, SplitSize(size_bytes=size_bytes, rows=rows), fingerprint)


def places(splits: list[Split]) -> list[list[tuple[str, int, int]]]:
    return [[(section.file.path, section.start, section.stop) for section in split.sections] for split in splits]


FILES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "day=1/a", "day=1/b", "day=2/a", "x/day=2/c", "day=2/k=v/a"]),
        st.lists(st.integers(1, 60), max_size=6),
    ),
    unique_by=lambda pair: pair[0],
    max_size=7,
)


@given(files=FILES, size_bytes=st.integers(1, 100), rows=st.integers(1, 100))
def test_every_piece_is_in_one_split_of_its_partition(
    files: list[tuple[str, list[int]]], size_bytes: int, rows: int
) -> None:
    shapes = [(file(path), shape(*counts)) for path, counts in files]
    splits = plan(*shapes, size_bytes=size_bytes, rows=rows)
    if not any(counts for _, counts in files):
        assert len(splits) == min(1, len(files))
        return
    found = [
        (section.file.path, at)
        for split in splits
        for section in split.sections
        for at in range(section.start, section.stop)
    ]
    assert sorted(found) == sorted((path, at) for path, counts in files for at in range(len(counts)))
    for split in splits:
        assert {section.file.partition for section in split.sections} == {split.partition}
        pieces = sum(section.stop - section.start for section in split.sections)
        assert pieces == 1 or (split.size_bytes <= size_bytes and (split.rows or 0) <= rows)
    assert splits == plan(*shapes[::-1], size_bytes=size_bytes, rows=rows)
    assert len({split.path for split in splits}) == len(splits)


def test_small_files_are_packed() -> None:
    splits = plan((file("a"), shape(1)), (file("b"), shape(2, 3)), (file("c"), shape(4)))
    assert places(splits) == [[("a", 0, 1), ("b", 0, 1)], [("b", 1, 2), ("c", 0, 1)]]
    assert [split.rows for split in splits] == [3, 7]
    assert [split.size_bytes for split in splits] == [20, 20]


def test_neighbours_of_one_file_are_one_section() -> None:
    (split,) = plan((file("a"), shape(1, 2, 3)), size_bytes=1000)
    assert places([split]) == [[("a", 0, 3)]]


def test_rows_limit_a_split_too() -> None:
    assert places(plan((file("a"), shape(5, 5, 5)), size_bytes=1000, rows=10)) == [[("a", 0, 2)], [("a", 2, 3)]]


def test_rows_that_only_reading_tells() -> None:
    (split,) = plan((file("a"), shape(None, None)))
    assert split.rows is None


def test_an_input_without_rows_gives_one_empty_split() -> None:
    """Its file has the columns, so that readers find a data set of no rows and not a broken one."""
    (split,) = plan((file("day=1/a"), shape()), (file("day=2/a"), shape()))
    assert (split.partition, split.rows) == ("day=1", 0)
    assert places([split]) == [[("day=1/a", 0, 0)]]


def test_a_path() -> None:
    (split,) = plan((file("day=1/hour=07/x/a"), shape(1)))
    assert split.path == f"day=1/hour=07/part-{split.key}.parquet"
    (split,) = plan((file("x/a"), shape(1)))
    assert split.path == f"part-{split.key}.parquet"


@pytest.mark.parametrize("change", ["version", "size", "path", "fingerprint", "rows", "partition"])
def test_what_changes_a_key(change: str) -> None:
    before = file("day=1/a")
    changed = {
        "version": replace(before, version="2"),
        "size": replace(before, size_bytes=101),
        "path": replace(before, path="day=1/b"),
        "partition": replace(before, path="day=2/a"),
    }.get(change, before)
    (one,) = plan((before, shape(1)))
    (other,) = plan((changed, shape(2 if change == "rows" else 1)), fingerprint={"fingerprint": 2}.get(change, 1))
    assert one.key != other.key
    assert len(one.key) == 32
