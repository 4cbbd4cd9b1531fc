"""Scoring while things go wrong: killed, interrupted, on a full disk, over a damaged table, two at once."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.candidates import flip_byte
from tests.support.programs import ROOT, finish, foretable, processes_of, start
from tests.support.score_data import content, good_rows, score_inline, stamps, write_input
from tests.support.synthetic import FINITE_NAME, publish_synthetic
from tests.support.waiting import wait_until

HOLD = str(ROOT / "tests" / "support" / "hold")
SPLITS = 6
TRY_AGAIN = 75


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("registry")
    publish_synthetic(str(root))
    return root


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six splits, of which one has a bad row; tests do not change it."""
    bad = {**good_rows(1, 500)[0], "age": None}
    files = {"day=1/a": good_rows(150), "day=2/a": [*good_rows(149, 150), bad]}
    return write_input(tmp_path_factory.mktemp("source") / "input", "parquet", files)


@pytest.fixture(scope="module")
def undisturbed(registry: Path, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output as one process makes it, with nothing going wrong."""
    output = tmp_path_factory.mktemp("undisturbed") / "scores"
    assert score_inline(registry, source, output).splits == SPLITS
    return output


def options(registry: Path, source: Path, output: Path) -> list[str]:
    places = ["--registry", str(registry), "--input", str(source), "--output", str(output)]
    return ["score", FINITE_NAME, *places, "--runner", "local", "--workers", "1", "--split-rows", "50", "--json"]


def in_order(output: Path) -> list[str]:
    """The names of the splits' files, as the job works on them."""
    return [path.name for path in sorted(output.glob("day=*/part-*"), key=lambda path: path.stat().st_mtime_ns)]


@contextlib.contextmanager
def held(arguments: list[str], reached: Path, name: str, when: str = "before") -> Iterator[subprocess.Popen[str]]:
    """Start a job and give it when it, or a worker, is just before or after making ``name`` visible."""
    environment = {"PYTHONPATH": HOLD, "HOLD_NAME": name, "HOLD_WHEN": when, "HOLD_REACHED": str(reached)}
    job = start(sys.executable, "-m", "foretable", *arguments, environment={**environment, "TEST_MARKER": str(reached)})
    try:
        wait_until(lambda: reached.exists() or job.poll() is not None, what=f"the job is at {name}")
        assert reached.exists(), job.communicate()
        yield job
    finally:
        job.kill()
        job.communicate()


def staged(output: Path) -> list[Path]:
    """The files that an unfinished run has made visible to its like."""
    return [path for path in output.parent.glob(f"_{output.name}-*/**/*") if path.is_file() and path.name[0] != "."]


KILLS: dict[str, tuple[int | str, str, int]] = {
    "before the first split is visible": (0, "before", 0),
    "just after a split became visible": (2, "after", 3),
    "before the last split is visible": (5, "before", 5),
    "before the manifest is visible": ("_manifest.json", "before", 6),
    "before the output is shown": ("_SUCCESS", "after", 6),
}


@pytest.mark.parametrize("point", KILLS)
def test_a_killed_driver_leaves_nothing_visible_and_the_next_run_ends_its_work(
    point: str, registry: Path, source: Path, undisturbed: Path, tmp_path: Path
) -> None:
    at, when, finished = KILLS[point]
    name = at if isinstance(at, str) else in_order(undisturbed)[at]
    output, reached = tmp_path / "scores", tmp_path / "reached"
    arguments = options(registry, source, output)
    with held(arguments, reached, name, when) as driver:
        driver.send_signal(signal.SIGKILL)
        finish(driver)
    wait_until(lambda: not processes_of(str(reached)), what="its workers are gone", timeout_s=10)
    assert not output.exists()
    kept = {path.name: path.stat().st_mtime_ns for path in staged(output) if path.parent.name.startswith("day=")}
    assert len(kept) == finished
    fields = foretable(*arguments).json()
    assert (fields["splits"], fields["computed"]) == (SPLITS, SPLITS - finished)
    assert content(output) == content(undisturbed)
    assert {path.name: path.stat().st_mtime_ns for path in output.glob("day=*/*") if path.name in kept} == kept
    assert staged(output) == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_killed_worker_costs_its_split_another_try(
    when: str, registry: Path, source: Path, undisturbed: Path, tmp_path: Path
) -> None:
    output, reached = tmp_path / "scores", tmp_path / "reached"
    with held(options(registry, source, output), reached, in_order(undisturbed)[3], when) as driver:
        os.kill(int(reached.read_text()), signal.SIGKILL)
        ended = finish(driver)
    assert ended.code == 0, ended.err
    assert content(output) == content(undisturbed)


def test_an_interrupted_run_ends_at_once_with_130(
    registry: Path, source: Path, undisturbed: Path, tmp_path: Path
) -> None:
    output, reached = tmp_path / "scores", tmp_path / "reached"
    with held(options(registry, source, output), reached, in_order(undisturbed)[2]) as driver:
        driver.send_signal(signal.SIGINT)
        ended = finish(driver)
    assert (ended.code, ended.out) == (130, "")
    assert ended.err.splitlines()[-1] == "foretable score: interrupted; what was finished is kept"
    assert "Traceback" not in ended.err
    wait_until(lambda: not processes_of(str(reached)), what="its workers are gone", timeout_s=10)
    assert not output.exists()
    assert len(staged(output)) == 2
    assert score_inline(registry, source, output).computed == SPLITS - 2
    assert content(output) == content(undisturbed)


def test_of_two_at_once_with_a_lock_one_works(registry: Path, source: Path, undisturbed: Path, tmp_path: Path) -> None:
    output, reached = tmp_path / "scores", tmp_path / "reached"
    arguments = [*options(registry, source, output), "--lock"]
    with held(arguments, reached, in_order(undisturbed)[1]) as first:
        second = foretable(*arguments)
        assert (second.code, second.out) == (TRY_AGAIN, "")
        assert f"lock file://{tmp_path}/_scores.lock" in second.err
        os.kill(int(reached.read_text()), signal.SIGKILL)  # the worker that is held: the first run goes on
        ended = finish(first)
    assert ended.code == 0, ended.err
    assert content(output) == content(undisturbed)
    before = stamps(output)
    assert foretable(*arguments).json()["computed"] == 0  # the lock is free again
    assert stamps(output) == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 28 KiB; the output needs more."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=28k", "tmpfs", str(disk)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a file system: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_is_tried_again_after_space_is_freed(
    small_disk: Path, registry: Path, source: Path, undisturbed: Path
) -> None:
    output = small_disk / "scores"
    arguments = options(registry, source, output)
    full = foretable(*arguments)
    assert (full.code, full.out) == (TRY_AGAIN, "")
    assert "The disk is full: free some space and run again" in full.err
    assert "Traceback" not in full.err
    assert not output.exists()
    done = {path.name for path in staged(output)}
    assert 0 < len(done) < SPLITS
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    assert foretable(*arguments).json()["computed"] == SPLITS - len(done & set(in_order(undisturbed)))
    assert content(output) == content(undisturbed)


def test_an_output_that_may_not_be_written_is_told(
    small_disk: Path, registry: Path, source: Path, undisturbed: Path
) -> None:
    subprocess.run(["mount", "-o", "remount,ro,size=4m", str(small_disk)], check=True)
    ended = foretable(*options(registry, source, small_disk / "scores"))
    assert (ended.code, ended.out) == (TRY_AGAIN, "")
    assert "Read-only file system" in ended.err
    assert "Traceback" not in ended.err
    assert list(small_disk.iterdir()) == []
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert foretable(*options(registry, source, small_disk / "scores")).code == 0
    assert content(small_disk / "scores") == content(undisturbed)


def test_a_corrupt_block_of_the_table_ends_the_job(source: Path, tmp_path: Path) -> None:
    """The model could answer in its place; but then the output would depend on which host found it."""
    registry, output = tmp_path / "registry", tmp_path / "scores"
    publish_synthetic(str(registry))
    (shard, *_) = sorted((registry / FINITE_NAME / "tables").glob("*/*.dense"))
    flip_byte(shard, 5_000)
    ended = foretable(*options(registry, source, output))
    assert (ended.code, ended.out) == (65, "")
    assert "must have blocks that match their checksums; 1 do not. Precompute it again" in ended.err
    assert "Traceback" not in ended.err
    assert not output.exists()
