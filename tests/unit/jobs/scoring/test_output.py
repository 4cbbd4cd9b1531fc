from __future__ import annotations

import itertools
from typing import Any

import pytest

from engine.errors import BadArtifact, BadSettings, Refused
from engine.manifest import new_manifest, seal
from engine.storage import Storage, open_storage
from engine.stores.memory import MemoryStore
from jobs.scoring.output import KIND, VERSION, Output, check_name, hidden_name
from jobs.scoring.split_done import FileDone

RUN, OTHER = "0123456789abcdef", "fedcba9876543210"
_numbers = itertools.count()


@pytest.fixture
def root() -> str:
    return f"memory://output/{next(_numbers)}"


@pytest.fixture
def in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A storage that cannot rename directories, as S3."""
    monkeypatch.setattr(MemoryStore, "can_rename_trees", False)


def manifest(run: str = RUN, *paths: str) -> dict[str, Any]:
    files = {path: {"size_bytes": 3} for path in paths}
    return new_manifest(KIND, VERSION, run=run, release={"number": 3}, files=files, time="2026-01-01T00:00:00Z")


def write(output: Output, *paths: str) -> list[FileDone]:
    """Write files of three bytes where the output's run writes."""
    storage = open_storage(output.staging_url)
    for path in paths:
        storage.create(path, b"abc")
    return [FileDone(path=path, size_bytes=3, sha256="0", rows=1) for path in paths]


def names(storage: Storage) -> list[str]:
    return [file.path for file in storage.walk(hidden=True)]


def test_a_killed_runs_manifest_of_other_files_is_not_shown(root: str) -> None:
    output = Output(f"{root}/scores", RUN)
    open_storage(output.staging_url).create("_manifest.json", seal(manifest(RUN, "part-a.parquet")))
    with pytest.raises(
        BadArtifact, match=r"_manifest\.json: must list the files beside it; it lists others\. Remove it"
    ):
        output.show(manifest(RUN, "part-a.parquet", "_quarantine/part-a-1.parquet"))
    assert output.manifest() is None
    output.show(manifest(RUN, "part-a.parquet"))
    assert output.manifest() == manifest(RUN, "part-a.parquet")


def test_nothing_shows_before_all_does(root: str) -> None:
    output = Output(f"{root}/scores", RUN)
    storage = open_storage(root)
    assert output.manifest() is None
    output.check_empty(["day=1/part-a.parquet"])
    files = write(output, "day=1/part-a.parquet", "_quarantine/part-a.parquet")
    output.check_files(files)
    assert {name.partition("/")[0] for name in names(storage)} == {f"_scores-{RUN}"}
    assert output.manifest() is None
    output.show(manifest())
    assert names(storage) == [
        "scores/_SUCCESS",
        "scores/_manifest.json",
        "scores/_quarantine/part-a.parquet",
        "scores/day=1/part-a.parquet",
    ]
    assert output.manifest() == manifest()
    assert output.url == f"{storage.url}/scores"


def test_strays_of_killed_and_doubled_tries_are_removed(root: str) -> None:
    output = Output(f"{root}/scores", RUN)
    files = write(output, "part-a.parquet")
    write(output, ".part-a.parquet.123", "_quarantine/part-a-1.parquet", "day=1/part-b.parquet")
    output.check_files(files)
    output.show(manifest())
    assert names(open_storage(f"{root}/scores")) == ["_SUCCESS", "_manifest.json", "part-a.parquet"]


@pytest.mark.parametrize("size_bytes", [2, 4, None])
def test_a_file_that_is_missing_or_cut_is_told(size_bytes: int | None, root: str) -> None:
    output = Output(f"{root}/scores", RUN)
    write(output, *(["part-a.parquet"] if size_bytes else ["part-b.parquet"]))
    wanted = FileDone(path="part-a.parquet", size_bytes=size_bytes or 3, sha256="0", rows=1)
    with pytest.raises(BadArtifact, match=rf"part-a\.parquet: must be {wanted.size_bytes} bytes long; got .*Run again"):
        output.check_files([wanted])


def test_equal_runs_at_once_end_with_one_output(root: str) -> None:
    one, other = Output(f"{root}/scores", RUN), Output(f"{root}/scores", RUN)
    files = write(one, "part-a.parquet")
    one.check_files(files)
    other.check_files(files)
    one.show(manifest())
    other.show(manifest())
    assert names(open_storage(root)) == ["scores/_SUCCESS", "scores/_manifest.json", "scores/part-a.parquet"]


def test_another_runs_output_is_refused_and_stays(root: str) -> None:
    one, other = Output(f"{root}/scores", RUN), Output(f"{root}/scores", OTHER)
    one.check_files(write(one, "part-a.parquet"))
    late = write(other, "part-b.parquet")
    one.show(manifest())
    before = names(open_storage(f"{root}/scores"))
    for step in (other.manifest, lambda: other.check_files(late), lambda: other.show(manifest(OTHER))):
        with pytest.raises(Refused, match=r"must be of this run; got .*: release 3, 2026-01-01T00:00:00Z\. Nothing is"):
            step()
    assert names(open_storage(f"{root}/scores")) == before


def test_showing_removes_what_other_runs_left_unfinished(root: str) -> None:
    """None of them can end any more; outputs of other names keep theirs."""
    write(Output(f"{root}/scores", OTHER), "part-b.parquet")
    write(Output(f"{root}/scores-2", OTHER), "part-b.parquet")
    output = Output(f"{root}/scores", RUN)
    output.check_files(write(output, "part-a.parquet"))
    output.show(manifest())
    assert open_storage(root).names() == [f"_scores-2-{OTHER}", "scores"]


def test_what_is_no_scoring_jobs_is_refused(root: str) -> None:
    open_storage(root).create("scores/mine.txt", b"x")
    with pytest.raises(Refused, match=r"output .*/scores must be free; got what is no scoring job's"):
        Output(f"{root}/scores", RUN).manifest()


def test_a_damaged_manifest_is_told(root: str) -> None:
    open_storage(root).create("scores/_manifest.json", seal(manifest()).replace(b"2026", b"2025"))
    with pytest.raises(BadArtifact, match=r"scores/_manifest\.json: must have the SHA-256"):
        Output(f"{root}/scores", RUN).manifest()


@pytest.mark.usefixtures("in_place")
class TestInPlace:
    """Where the manifest decides."""

    def test_files_stay_where_they_are_and_the_manifest_is_last(self, root: str) -> None:
        output = Output(f"{root}/scores", RUN)
        assert output.staging_url == output.url
        output.check_empty(["part-a.parquet"])
        files = write(output, "part-a.parquet", "_quarantine/part-a.parquet")
        output.check_files(files)
        assert output.manifest() is None
        output.show(manifest())
        output.show(manifest())  # an equal run
        assert output.manifest() == manifest()

    def test_unfinished_work_of_this_run_goes_on(self, root: str) -> None:
        output = Output(f"{root}/scores", RUN)
        write(output, "_day=1/part-a.parquet", "_quarantine/part-a.parquet", "_day=1/.part-a.parquet.1")
        output.check_empty(["_day=1/part-a.parquet"])

    def test_unfinished_work_of_another_is_refused_and_stays(self, root: str) -> None:
        write(Output(f"{root}/scores", OTHER), "_day=1/part-b.parquet", "_SUCCESS")
        output = Output(f"{root}/scores", RUN)
        message = r"must be empty or of this run; got 1 other files: _day=1/part-b\.parquet"
        with pytest.raises(Refused, match=message):
            output.check_empty(["part-a.parquet"])
        with pytest.raises(Refused, match=message):  # one that began meanwhile
            output.check_files(write(output, "part-a.parquet"))
        assert "_day=1/part-b.parquet" in names(open_storage(f"{root}/scores"))

    def test_another_runs_finished_output_is_refused_and_stays(self, root: str) -> None:
        one, other = Output(f"{root}/scores", RUN), Output(f"{root}/scores", OTHER)
        one.check_files(write(one, "part-a.parquet"))
        one.show(manifest())
        with pytest.raises(Refused, match="must be of this run"):
            other.check_files(write(other, "part-b.parquet"))
        with pytest.raises(Refused, match="must be of this run"):
            other.show(manifest(OTHER))
        assert "part-a.parquet" in names(open_storage(f"{root}/scores"))
        assert one.manifest() == manifest()


def test_what_is_unfinished_looks_like_no_partition(root: str) -> None:
    output = Output(f"{root}/day=1", RUN)
    output.check_files(write(output, "part-a.parquet"))
    assert open_storage(root).names() == [f"_day%3D1-{RUN}"]
    write(Output(f"{root}/day=1", OTHER), "part-b.parquet")
    output.show(manifest())
    assert open_storage(root).names() == ["day=1"]
    assert hidden_name("day%3D1") not in {hidden_name("day=1"), "_day%3D1"}


@pytest.mark.parametrize("url", ["/data/_scores", "memory://a/.scores"])
def test_a_name_that_readers_skip_is_refused(url: str) -> None:
    with pytest.raises(BadSettings, match=r"name must not begin with _ or \. since readers skip"):
        check_name(url)
    check_name("/data/scores_")
