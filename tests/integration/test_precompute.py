"""Precompute as users run it: killed, on a full disk, over damaged shards, by spark-submit."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.codec import codec_named
from engine.errors import BadArtifact, BadSettings, Unavailable
from engine.registry import Registry
from engine.shard import rows_per_block
from engine.table import DenseTable
from jobs.precompute import Precomputed, PrecomputeSettings, precompute, table_spec
from jobs.shard_task import ShardTask
from tests.support.candidates import build_table, contents, flip_byte, models_of, write_candidate
from tests.support.inline_runner import InlineRunner
from tests.support.programs import BIN, ROOT, Finished, finish, foretable, processes_of, python, start
from tests.support.synthetic import FINITE_NAME, NUMBERS_NAME, publish_numbers, synthetic_schema, synthetic_space
from tests.support.waiting import wait_until

HOLD = str(ROOT / "tests" / "support" / "hold")
ROWS = 30 * 4 * 101 * 3
BLOCK_ROWS = 5461  # 64 KiB of rows of three float32
SHARDS = 7
TRY_AGAIN = 75


def run(root: Path, *options: str, workers: int = 1) -> Finished:
    return python("jobs.precompute", FINITE_NAME, *_options(root, workers), *options)


def _options(root: Path, workers: int) -> list[str]:
    return ["--registry", str(root), "--runner", "local", "--workers", str(workers), "--shard-rows", "1", "--json"]


def inline(root: Path, **settings: object) -> Precomputed:
    wanted = PrecomputeSettings(model=FINITE_NAME, shard_rows=1, quiet=True)
    return precompute(Registry(str(root)), replace(wanted, **settings), InlineRunner)  # type: ignore[arg-type]


def table_folder(root: Path) -> Path:
    (folder,) = (root / FINITE_NAME / "tables").iterdir()
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """All that a table is, less the time of its manifest."""
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    manifest = json.loads(found.pop("manifest.json"))
    del manifest["time"], manifest["sha256"]  # the seal covers the time
    return {**found, "manifest.json": json.dumps(manifest).encode()}


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.glob("*.dense")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The table as one process makes it, with nothing going wrong."""
    root = tmp_path_factory.mktemp("undisturbed")
    write_candidate(root)
    inline(root)
    return content(table_folder(root))


def test_shards_are_whole_blocks_and_the_manifest_names_each(tmp_path: Path) -> None:
    write_candidate(tmp_path)
    done = inline(tmp_path)
    folder = table_folder(tmp_path)
    assert rows_per_block(12) == BLOCK_ROWS
    names = [f"shard-{number:06d}.dense" for number in range(SHARDS)]
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", *names]
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert manifest["key"] == folder.name == done.table
    assert (manifest["spec"]["rows"], manifest["spec"]["shard_rows"]) == (ROWS, BLOCK_ROWS)
    assert (done.rows, done.computed_rows, done.runner) == (ROWS, ROWS, "inline")
    for name in names:
        data = (folder / name).read_bytes()
        assert manifest["files"][name] == {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    values = 12 * BLOCK_ROWS
    assert [len((folder / name).read_bytes()) for name in names[:-1]] == [64 + values + 4 + 12] * (SHARDS - 1)
    assert len((folder / names[-1]).read_bytes()) == 64 + 12 * (ROWS - 6 * BLOCK_ROWS) + 4 + 12


def test_every_row_is_the_models_answer(tmp_path: Path) -> None:
    bundle = models_of(tmp_path).bundle(write_candidate(tmp_path))
    inline(tmp_path)
    table = DenseTable.open(models_of(tmp_path).storage, f"{FINITE_NAME}/tables/{table_folder(tmp_path).name}")
    runtime, space = bundle.runtime(), synthetic_space()
    for ordinal in (0, 1, BLOCK_ROWS - 1, BLOCK_ROWS, ROWS - 1):
        row = space.row(ordinal)
        assert table.row(ordinal) == tuple(runtime.infer(space.encode_row(row))[0].tolist())


KILLS = {
    "before the first shard is visible": ("shard-000000.dense", "before", 0),
    "just after a shard became visible": ("shard-000002.dense", "after", 3),
    "before the last shard is visible": ("shard-000006.dense", "before", 6),
    "before the manifest is visible": ("manifest.json", "before", 7),
}


@contextlib.contextmanager
def held(root: Path, reached: Path, name: str, when: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Start a driver and give it when it is just before or after making ``name`` visible."""
    environment = {"PYTHONPATH": HOLD, "HOLD_NAME": name, "HOLD_WHEN": when, "HOLD_REACHED": str(reached)}
    command = [sys.executable, "-m", "jobs.precompute", FINITE_NAME, *_options(root, 1), *options]
    driver = start(*command, environment={**environment, "TEST_MARKER": str(reached)})
    try:
        wait_until(lambda: reached.exists() or driver.poll() is not None, what=f"the driver is at {name}")
        assert reached.exists(), driver.communicate()
        yield driver
    finally:
        driver.kill()
        driver.communicate()


@pytest.mark.parametrize("point", KILLS)
def test_a_killed_driver_leaves_nothing_visible_and_the_next_run_ends_its_work(
    point: str, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    name, when, finished = KILLS[point]
    root, reached = tmp_path / "registry", tmp_path / "reached"
    bundle = write_candidate(root)
    with held(root, reached, name, when) as driver:
        driver.send_signal(signal.SIGKILL)
        finish(driver)
    wait_until(lambda: not processes_of(str(reached)), what="its workers are gone", timeout_s=10)
    folder = table_folder(root)
    before = stamps(folder)
    assert not (folder / "manifest.json").exists()
    assert len([name for name in before if not name.startswith(".")]) == finished
    assert models_of(root).tables() == []
    if name == "manifest.json":
        refused = foretable("publish", FINITE_NAME, "--registry", str(root))
        assert refused.code == 64
        missing = "has no finished table of variant float32, codec float32: precompute it first"
        assert f"bundle {bundle} of 'synthetic' {missing}" in refused.err
        assert models_of(root).label().head() is None

    fields = run(root).json()
    assert fields["computed_rows"] == sum(min(BLOCK_ROWS, ROWS - n * BLOCK_ROWS) for n in range(finished, SHARDS))
    after = stamps(folder)
    assert {name: after[name] for name in before if not name.startswith(".")} == {
        name: stamp for name, stamp in before.items() if not name.startswith(".")
    }
    unfinished = {name for name in content(folder) if name.startswith(".")}
    assert {name: data for name, data in content(folder).items() if name not in unfinished} == undisturbed
    if name != "manifest.json":  # the killed driver itself cannot remove what it had begun; its workers do
        assert not unfinished


def test_an_interrupted_driver_ends_at_once_with_130(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    root, reached = tmp_path / "registry", tmp_path / "reached"
    write_candidate(root)
    with held(root, reached, "shard-000003.dense", "before") as driver:
        driver.send_signal(signal.SIGINT)
        ended = finish(driver)
    assert (ended.code, ended.out) == (130, "")
    assert ended.err.splitlines()[-1] == "foretable precompute: interrupted; what was finished is kept"
    assert "Traceback" not in ended.err
    wait_until(lambda: not processes_of(str(reached)), what="its workers are gone", timeout_s=10)
    assert sorted(path.name for path in table_folder(root).iterdir()) == [f"shard-{n:06d}.dense" for n in range(3)]
    assert run(root).json()["computed_rows"] == ROWS - 3 * BLOCK_ROWS
    assert content(table_folder(root)) == undisturbed


def test_a_finished_table_is_not_computed_again(tmp_path: Path) -> None:
    write_candidate(tmp_path)
    first = run(tmp_path, workers=2).json()
    before = stamps(table_folder(tmp_path))
    second = run(tmp_path, workers=2).json()
    assert (first["computed_rows"], second["computed_rows"]) == (ROWS, 0)
    assert (first["table"], first["size_bytes"]) == (second["table"], second["size_bytes"])
    assert stamps(table_folder(tmp_path)) == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 KiB; the table needs 427."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a file system: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_is_tried_again_after_space_is_freed(small_disk: Path, undisturbed: dict[str, bytes]) -> None:
    write_candidate(small_disk)
    full = run(small_disk)
    assert (full.code, full.out) == (TRY_AGAIN, "")
    assert "The disk is full: free some space and run again" in full.err
    assert "shard-0" in full.err
    assert "Traceback" not in full.err
    folder = table_folder(small_disk)
    done = sorted(path.name for path in folder.iterdir())  # whole shards, and no manifest
    assert done == [f"shard-{number:06d}.dense" for number in range(len(done))]
    assert 0 < len(done) < SHARDS
    assert all((folder / name).read_bytes() == undisturbed[name] for name in done)
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    assert run(small_disk).json()["computed_rows"] == ROWS - len(done) * BLOCK_ROWS
    assert content(folder) == undisturbed


def test_a_refused_write_leaves_nothing_visible(tmp_path: Path) -> None:
    """As on a full disk, where nobody may mount one: the kernel refuses files over a size."""
    write_candidate(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, limits[1]))
    try:
        with pytest.raises(Unavailable, match=r"shard-000000\.dense: File too large"):
            inline(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(table_folder(tmp_path).iterdir()) == []
    assert inline(tmp_path).computed_rows == ROWS


def damage(path: Path, how: str) -> None:
    if how == "cut":
        os.truncate(path, path.stat().st_size - 100)
    elif how == "empty":
        os.truncate(path, 0)
    else:
        flip_byte(path, {"value": 5_000, "header": 20, "checksum": -14, "end": -1}[how])


@pytest.mark.parametrize("how", ["value", "header", "checksum", "end", "cut", "empty"])
def test_a_damaged_shard_is_refused_and_named(how: str, tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    write_candidate(tmp_path)
    inline(tmp_path)
    folder = table_folder(tmp_path)
    (folder / "manifest.json").unlink()
    (folder / "shard-000005.dense").unlink()
    damage(folder / "shard-000004.dense", how)
    with pytest.raises(BadArtifact, match=r"shard-000004\.dense.*Remove this file and run again"):
        inline(tmp_path)
    assert not (folder / "manifest.json").exists()
    assert not (folder / "shard-000005.dense").exists()  # refused before any work was done
    (folder / "shard-000004.dense").unlink()
    assert inline(tmp_path).computed_rows == 2 * BLOCK_ROWS
    assert content(folder) == undisturbed


def test_a_shard_of_another_table_is_refused(tmp_path: Path) -> None:
    write_candidate(tmp_path)
    inline(tmp_path, codec="uint8")
    other = table_folder(tmp_path) / "shard-000000.dense"
    spec = table_spec(models_of(tmp_path).newest_bundle(), PrecomputeSettings(model=FINITE_NAME, shard_rows=1))
    folder = tmp_path / FINITE_NAME / "tables" / spec.key
    folder.mkdir()
    (folder / "shard-000000.dense").write_bytes(other.read_bytes())
    with pytest.raises(BadArtifact, match=r"shard-000000\.dense: must be the shard"):
        inline(tmp_path)


def test_a_space_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    publish_numbers(str(tmp_path))
    refused = python("jobs.precompute", NUMBERS_NAME, *_options(tmp_path, 1))
    assert (refused.code, refused.out) == (64, "")
    assert "finite" in refused.err
    assert "price" in refused.err
    assert not (tmp_path / NUMBERS_NAME / "tables").exists()


def test_a_worker_of_another_numeric_class_is_refused(tmp_path: Path) -> None:
    bundle = models_of(tmp_path).bundle(write_candidate(tmp_path))
    spec = table_spec(bundle, PrecomputeSettings(model=FINITE_NAME, shard_rows=1))
    foreign = replace(spec, numeric_class="litert-0.0-0123456789abcdef")
    with pytest.raises(
        BadSettings, match=r"must be of numeric class litert-0\.0-0123456789abcdef; got litert-"
    ) as caught:
        ShardTask(Registry(str(tmp_path)).url, foreign)(0)
    assert caught.value.exit_code == 64
    assert not (tmp_path / FINITE_NAME / "tables").exists()


def test_a_variant_that_rounds_has_a_table_of_its_own(tmp_path: Path) -> None:
    """The numeric class is of the float32 variant, whichever one is precomputed."""
    sound = contents()
    write_candidate(tmp_path, variants={**sound.variants, "other": sound.variants["float32"]})
    assert inline(tmp_path, variant="other", override="of a test").table != inline(tmp_path).table


def test_an_unknown_variant_is_refused(tmp_path: Path) -> None:
    write_candidate(tmp_path)
    with pytest.raises(BadSettings, match="must be one of float32; got 'int8'"):
        inline(tmp_path, variant="int8")


def test_two_tables_of_one_bundle_answer_as_their_codecs_say(tmp_path: Path) -> None:
    write_candidate(tmp_path)
    wide, narrow = (inline(tmp_path, codec=name) for name in ("float32", "uint8"))
    assert wide.table != narrow.table
    models = models_of(tmp_path)
    exact, coarse = (DenseTable.open(models.storage, models.table_path(done.table)) for done in (wide, narrow))
    limits = codec_named("uint8", synthetic_schema()).error_limits()
    for ordinal in range(0, ROWS, 997):
        one, other = exact.row(ordinal), coarse.row(ordinal)
        assert one is not None
        assert other is not None
        assert all(abs(a - b) <= limit for a, b, limit in zip(one, other, limits.tolist(), strict=True))


def test_tables_built_by_hand_equal_those_of_the_job(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    """The builder that other tests make faulty tables with is right when told to make none."""
    key = build_table(tmp_path, write_candidate(tmp_path))
    assert content(tmp_path / FINITE_NAME / "tables" / key) == undisturbed


@pytest.mark.spark
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_spark_driver_that_is_ended_leaves_nothing_visible(
    java_home: str, how: signal.Signals, tmp_path: Path
) -> None:
    root, reached = tmp_path / "registry", tmp_path / "reached"
    write_candidate(root)
    with held(root, reached, "shard-000003.dense", "before", "--runner", "spark") as driver:
        driver.send_signal(how)
        ended = finish(driver)
    assert ended.code == (130 if how == signal.SIGINT else -how), ended.err
    assert how == signal.SIGKILL or "foretable precompute: interrupted; what was finished is kept" in ended.err
    wait_until(lambda: not processes_of(str(reached)), what="the JVM and its workers are gone", timeout_s=30)
    visible = {path.name for path in table_folder(root).glob("[!.]*")}
    assert not visible & {"shard-000003.dense", "manifest.json"}
    assert run(root).json()["computed_rows"] == ROWS - sum(
        min(BLOCK_ROWS, ROWS - int(name[6:12]) * BLOCK_ROWS) for name in visible
    )


@pytest.mark.spark
def test_spark_submit_gives_the_same_bytes(java_home: str, tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    write_candidate(tmp_path)
    command = [str(BIN / "spark-submit"), "--master", "local[2]", "jobs/precompute.py", FINITE_NAME]
    options = ["--registry", str(tmp_path), "--runner", "spark", "--shard-rows", "1", "--json"]
    environment = {"JAVA_HOME": java_home, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    ended = finish(start(*command, *options, environment=environment))
    assert ended.code == 0, ended.err
    fields = json.loads(ended.out.splitlines()[-1])
    assert (fields["computed_rows"], fields["runner"]) == (ROWS, "spark")
    assert content(table_folder(tmp_path)) == undisturbed


@pytest.mark.spark
def test_an_interrupt_while_spark_starts_leaves_no_jvm(tmp_path: Path) -> None:
    write_candidate(tmp_path)
    marker = {"TEST_MARKER": str(tmp_path)}
    command = ("precompute", FINITE_NAME, "--registry", str(tmp_path), "--runner", "spark")
    driver = start(str(BIN / "foretable"), *command, environment=marker)
    wait_until(lambda: len(processes_of(str(tmp_path))) > 1, what="the JVM is starting")
    driver.send_signal(signal.SIGINT)
    ended = finish(driver)
    assert ended.code == 130, ended.err
    assert "Traceback" not in ended.err
    wait_until(lambda: not processes_of(str(tmp_path)), what="the JVM is gone", timeout_s=30)
