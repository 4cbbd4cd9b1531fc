from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import BadSettings, NotFound
from jobs.scoring.dataset import Dataset, partition_values, split_url
from jobs.scoring.format import FORMATS, FormatOptions, guess_format, open_format


def write(root: Path, *paths: str) -> Dataset:
    for path in paths:
        full = root / "data" / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(path)
    return Dataset(str(root / "data"))


def test_files_are_sorted_and_hidden_ones_left_out(tmp_path: Path) -> None:
    dataset = write(
        tmp_path,
        "day=2/b.csv",
        "day=1/a.csv",
        "_SUCCESS",
        ".a.csv.crc",
        "_temporary/0/a.csv",
        "day=1/.hidden/a.csv",
        "day=1/_spark/a.csv",
        "_hour=07/a.csv",
        "c.csv._COPYING_",
    )
    files = dataset.files()
    assert [file.path for file in files] == ["_hour=07/a.csv", "day=1/a.csv", "day=2/b.csv"]
    assert [file.size_bytes for file in files] == [14, 11, 11]
    assert dataset.storage.read(dataset.full_path("day=1/a.csv")) == b"day=1/a.csv"
    assert dataset.url == f"file://{tmp_path}/data"


def test_a_file_is_a_data_set(tmp_path: Path) -> None:
    write(tmp_path, "a.csv")
    dataset = Dataset(f"{tmp_path}/data/a.csv")
    (file,) = dataset.files()
    assert (file.path, file.partition, file.size_bytes) == ("", "", 5)
    assert dataset.storage.read(dataset.full_path(file.path)) == b"a.csv"


def test_a_replaced_file_has_another_version(tmp_path: Path) -> None:
    dataset = write(tmp_path, "a.csv")
    (before,) = dataset.files()
    (tmp_path / "data" / "new").write_text("a.csv")
    (tmp_path / "data" / "new").rename(tmp_path / "data" / "a.csv")
    (after,) = dataset.files()
    assert before.version != after.version


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_no_files(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "_SUCCESS").touch()
    with pytest.raises(NotFound, match=rf"input file://.*/{name} must hold at least one file; got none. Is it"):
        Dataset(f"{tmp_path}/{name}").files()


def test_partition_values() -> None:
    assert partition_values("") == {}
    assert partition_values("day=2026-01-01/a%3Db=x%2Fy%20z/n=__HIVE_DEFAULT_PARTITION__/e=a=b/none=") == {
        "day": "2026-01-01",
        "a=b": "x/y z",
        "n": None,
        "e": "a=b",
        "none": "",
    }


@pytest.mark.parametrize(
    "url, parent, name",
    [
        ("/a/b", "/a", "b"),
        ("/a", "/", "a"),
        ("a", ".", "a"),
        ("a/b/", "a", "b"),
        ("s3://bucket/a", "s3://bucket", "a"),
        ("hdfs://host:9000/a/b", "hdfs://host:9000/a", "b"),
        ("file:///a/b", "file:///a", "b"),
    ],
)
def test_split_url(url: str, parent: str, name: str) -> None:
    assert split_url(url) == (parent, name)


def test_a_home_directory_is_not_filled_in() -> None:
    with pytest.raises(BadSettings, match="a path must be written out; got '~/a': the shell"):
        split_url("~/a")


@pytest.mark.parametrize("url", ["", "/", "s3://bucket", "s3://", "..", "a/..", "a/."])
def test_what_has_no_parent_is_refused(url: str) -> None:
    with pytest.raises(BadSettings, match="a data set must be a directory or a file below a root; got"):
        split_url(url)


@pytest.mark.parametrize(
    "path, name",
    [
        ("part-0.snappy.parquet", "parquet"),
        ("a.pq", "parquet"),
        ("day=1/a.orc", "orc"),
        ("A.CSV", "csv"),
        ("a.json", "jsonl"),
        ("a.ndjson", "jsonl"),
    ],
)
def test_a_files_name_tells_its_format(path: str, name: str) -> None:
    assert guess_format([path, f"b/{path}"]) == name
    assert open_format(name, FormatOptions()).name == name


def test_names_that_tell_no_format() -> None:
    with pytest.raises(BadSettings, match=r"input file a\.csv\.gz: must end with one of \.parquet, .*Say --format"):
        guess_format(["b.csv", "a.csv.gz"])
    with pytest.raises(BadSettings, match=r"all input files must be of one format; got b\.csv, a\.orc"):
        guess_format(["b.csv", "a.orc"])


def test_every_format_can_be_opened() -> None:
    assert [open_format(name, FormatOptions()).name for name in FORMATS] == list(FORMATS)
