"""The archive for executors: whole, slim, the same each time, and clear about a host that it cannot run on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from jobs.pack import Packed
from tests.support.programs import Finished, finish, foretable

LARGEST_SIZE_BYTES = 70_000_000
# What a worker loads: every module of its own, and the libraries behind each storage and format.
WORKER = """
import pkgutil, importlib, sys
import engine, jobs.scoring
for package in (engine, jobs.scoring):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
import hdfs_native, pyarrow.csv, pyarrow.json, pyarrow.orc, pyarrow.parquet
print(engine.__file__, 'tensorflow' in sys.modules)
"""


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    """What the program wrote; tests do not change it."""
    done = foretable("pack", "--output", str(tmp_path_factory.mktemp("pack") / "foretable.tar.gz"), "--json").json()
    return Packed(**{**done, "distributions": tuple(done["distributions"])})


@pytest.fixture(scope="module")
def unpacked(packed: Packed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive's files, as a node has them."""
    folder = tmp_path_factory.mktemp("node") / "foretable"
    with tarfile.open(packed.archive) as archive:
        archive.extractall(folder, filter="data")
    return folder


def on_node(unpacked: Path, *arguments: str, **environment: str) -> Finished:
    """Start the archive's Python in an environment of which nothing is this one's."""
    process = subprocess.Popen(
        [str(unpacked / "bin" / "python"), *arguments],
        cwd=unpacked.parent,
        env={"PATH": "/usr/bin:/bin", "EXECUTOR_PYTHON": sys._base_executable, **environment},  # type: ignore[attr-defined]
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return finish(process)


def test_it_is_slim_and_says_its_size(packed: Packed) -> None:
    assert packed.size_bytes == Path(packed.archive).stat().st_size <= LARGEST_SIZE_BYTES
    with tarfile.open(packed.archive) as archive:
        members = archive.getmembers()
    assert packed.unpacked_size_bytes == sum(member.size for member in members)
    names = {name.partition("==")[0].lower() for name in packed.distributions}
    assert {"ai-edge-litert", "numpy", "pyarrow", "hdfs-native"} <= names
    assert not names & {"tensorflow-cpu", "pyspark", "pip", "flask", "pytest"}


def test_its_files_are_sorted_and_tell_nothing_of_this_machine(packed: Packed, unpacked: Path) -> None:
    with tarfile.open(packed.archive) as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == sorted(member.name for member in members)
    assert {(member.uid, member.uname, member.mtime) for member in members} == {(0, "", 315_532_800)}
    told = json.loads((unpacked / "environment.json").read_text())
    assert told["python"] == sys.implementation.cache_tag
    assert tuple(told["distributions"]) == packed.distributions
    here = os.fsencode(sys.prefix)
    assert not [path for path in unpacked.rglob("*") if path.is_file() and here in path.read_bytes()]


def test_the_same_environment_gives_the_same_bytes(packed: Packed, tmp_path: Path) -> None:
    again = tmp_path / "foretable.tar.gz"
    again.write_bytes(b"an older one")
    assert foretable("pack", "--output", str(again)).code == 0
    assert again.read_bytes() == Path(packed.archive).read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == [again.name]


def test_a_node_imports_all_that_a_worker_needs_from_it(unpacked: Path) -> None:
    done = on_node(unpacked, "-c", WORKER)
    assert done.code == 0, done.err
    assert done.out.split() == [str(unpacked / "lib" / "engine" / "__init__.py"), "False"]


def test_what_was_on_the_path_stays_behind_it(unpacked: Path) -> None:
    done = on_node(unpacked, "-c", "import sys; print(sys.path[1:3])", PYTHONPATH="/spark/pyspark.zip")
    assert done.out.strip() == str([str(unpacked / "lib"), "/spark/pyspark.zip"])


def test_a_host_without_the_right_python_is_told_what_it_must_have(unpacked: Path, tmp_path: Path) -> None:
    other = tmp_path / "python9"
    other.write_text("#!/bin/sh\necho cpython-399 linux-abacus with glibc 1.0\nexit 1\n")
    other.chmod(0o755)
    done = on_node(unpacked, "-c", "print('ran')", EXECUTOR_PYTHON=f"{other} nowhere")
    assert (done.code, done.out) == (64, "")
    assert f"must have a Python {sys.implementation.cache_tag}" in done.err
    assert f"got {other}: cpython-399 linux-abacus with glibc 1.0; nowhere: none." in done.err


def test_a_name_that_spark_would_not_unpack_is_refused(tmp_path: Path) -> None:
    done = foretable("pack", "--output", str(tmp_path / "foretable.whl"))
    assert done.code == 64
    assert "must end with .tar.gz" in done.err
    done = foretable("pack", "--output", str(tmp_path / "nowhere" / "foretable.tar.gz"))
    assert done.code == 64
    assert "must be a file that may be written" in done.err
