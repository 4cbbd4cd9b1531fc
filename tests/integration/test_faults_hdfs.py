"""Scoring on HDFS while things break: the output is as if nothing had, or there is none and the error says why."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from engine.storage import open_storage
from tests.support.candidates import flip_byte
from tests.support.hadoop import Hadoop
from tests.support.hdfs_admin import make_directory, replicas, safe_mode, set_permission, space_quota
from tests.support.programs import finish, processes_of
from tests.support.soak import chosen
from tests.support.stored_job import SPLITS, StoredJob, staged, stored_content, visible
from tests.support.waiting import wait_until

pytestmark = pytest.mark.hadoop

Undisturbed = dict[str, str]
# Longer than four tries of a split take while the storage refuses every one of them.
BOUNDED_S = 120.0


@pytest.fixture(scope="module")
def job(hdfs: Hadoop) -> StoredJob:
    return StoredJob.prepare(hdfs.fresh, hdfs.environment)


@pytest.fixture(scope="module")
def undisturbed(job: StoredJob) -> Undisturbed:
    output = job.output()
    assert job.run(output).json()["computed"] == SPLITS
    return stored_content(output)


# Where a job is killed, and how many splits are visible then.
DRIVER_KILLS = [("split", 0), ("split", 3), ("split", SPLITS - 1), ("output", SPLITS), ("output-shown", SPLITS)]


@pytest.mark.parametrize("at, splits", DRIVER_KILLS)
def test_a_killed_driver(at: str, splits: int, job: StoredJob, undisturbed: Undisturbed, tmp_path: Path) -> None:
    output = job.output()
    with job.held(output, tmp_path, at, splits if at == "split" else 0) as held:
        held.driver.kill()
        finish(held.driver)
    wait_until(lambda: not processes_of(str(held.reached)), what="its workers are gone", timeout_s=10)
    shown = at == "output-shown"
    assert visible(output) == (["scores"] if shown else [])
    assert len(staged(output)) == splits
    assert job.run(output).json()["computed"] == (0 if shown else SPLITS - splits)
    assert stored_content(output) == undisturbed
    assert open_storage(output.rpartition("/")[0]).names() == ["scores"]


WORKER_KILLS = [("split", 0), ("sent", 2), ("split", 4), ("split-shown", 5), ("split", SPLITS - 1)]


@pytest.mark.parametrize("at, splits", WORKER_KILLS)
def test_a_killed_worker(at: str, splits: int, job: StoredJob, undisturbed: Undisturbed, tmp_path: Path) -> None:
    output = job.output()
    with job.held(output, tmp_path, at, splits) as held:
        assert held.pid != held.driver.pid
        os.kill(held.pid, signal.SIGKILL)
        ended = finish(held.driver)
    assert ended.code == 0, ended.err
    assert stored_content(output) == undisturbed
    assert visible(output) == ["scores"]


DATANODE_KILLS = [("split", 0), ("sent", 0), ("sent", 3), ("split", 5), ("output", 0)]


@pytest.mark.parametrize("at, splits", chosen(DATANODE_KILLS))
def test_a_killed_datanode(
    at: str, splits: int, job: StoredJob, hdfs: Hadoop, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    output = job.output()
    with job.held(output, tmp_path, at, splits) as held, hdfs.without(hdfs.datanodes[splits % 2]):
        ended = held.release()
        if ended.code == 0:
            assert stored_content(output) == undisturbed
    if ended.code:
        assert ended.code == 75, ended.err
        assert visible(output) == []
        job.run(output).json()
    assert stored_content(output) == undisturbed


def test_no_datanode_is_left(job: StoredJob, hdfs: Hadoop, undisturbed: Undisturbed, tmp_path: Path) -> None:
    output = job.output()
    with job.held(output, tmp_path, "split", 3) as held, hdfs.without(*hdfs.datanodes):
        began = time.monotonic()
        ended = held.release()
        assert time.monotonic() - began < BOUNDED_S
        assert (ended.code, ended.out) == (75, "")
        assert "Traceback" not in ended.err
        assert ended.err.rstrip().endswith("Try again"), ended.err
        assert visible(output) == []
    found = len(staged(output))
    assert found >= 3
    assert job.run(output).json()["computed"] == SPLITS - found
    assert stored_content(output) == undisturbed


def test_the_namenode_is_gone(job: StoredJob, hdfs: Hadoop, undisturbed: Undisturbed, tmp_path: Path) -> None:
    output = job.output()
    with job.held(output, tmp_path, "split", 3) as held, hdfs.without(hdfs.namenode):
        began = time.monotonic()
        ended = held.release()
        assert time.monotonic() - began < BOUNDED_S
        assert (ended.code, ended.out) == (75, "")
        assert ended.err.rstrip().endswith("Try again"), ended.err
        refused = job.run(output)
        assert (refused.code, refused.out) == (75, "")
    assert visible(output) == []
    assert len(staged(output)) == 3
    assert job.run(output).json()["computed"] == SPLITS - 3
    assert stored_content(output) == undisturbed


def test_the_namenode_is_in_safe_mode(job: StoredJob, hdfs: Hadoop, undisturbed: Undisturbed, tmp_path: Path) -> None:
    output = job.output()
    with job.held(output, tmp_path, "split", 3) as held, safe_mode(hdfs):
        ended = held.release()
        assert (ended.code, ended.out) == (75, "")
        assert "safe mode" in ended.err
        assert visible(output) == []
        assert len(staged(output)) == 3
    assert job.run(output).json()["computed"] == SPLITS - 3
    assert stored_content(output) == undisturbed


def test_the_permission_to_write_is_taken_away(
    job: StoredJob, hdfs: Hadoop, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    output = job.output()
    make_directory(hdfs, output.rpartition("/")[0], "777")
    with job.held(output, tmp_path, "split", 3, HADOOP_USER_NAME="alice") as held:
        folder = f"{output.rpartition('/')[0]}/{staged(output)[0].partition('/')[0]}"
        set_permission(hdfs, folder, "555")
        ended = held.release()
    assert (ended.code, ended.out) == (64, "")
    assert "permission denied. Grant it to the user who runs this" in ended.err
    assert "Traceback" not in ended.err
    assert visible(output) == []
    set_permission(hdfs, folder, "755")
    assert job.run(output, HADOOP_USER_NAME="alice").json()["computed"] == SPLITS - 3
    assert stored_content(output) == undisturbed


def test_the_space_is_used_up(job: StoredJob, hdfs: Hadoop, undisturbed: Undisturbed, tmp_path: Path) -> None:
    output = job.output()
    parent = output.rpartition("/")[0]
    with job.held(output, tmp_path, "split", 3) as held, space_quota(hdfs, parent, 1 << 20):
        ended = held.release()
        assert (ended.code, ended.out) == (75, "")
        assert "quota" in ended.err
        assert "free some space and run again" in ended.err
        assert visible(output) == []
    assert len(staged(output)) == 4  # the one that was written before the quota
    assert job.run(output).json()["computed"] == SPLITS - 4
    assert stored_content(output) == undisturbed


def test_a_rotten_replica_of_the_table_is_healed_by_the_other(
    job: StoredJob, hdfs: Hadoop, undisturbed: Undisturbed
) -> None:
    rotten = replace(job, registry=hdfs.fresh("registry"))
    for shard in copied_shards(job.registry, rotten.registry):
        flip_byte(replicas(hdfs, f"{rotten.registry}/{shard}")[0], 100)
    output = job.output()
    rotten.run(output).json()
    assert stored_content(output) == undisturbed


@pytest.mark.parametrize("where", ["replicas", "content"])
def test_a_damaged_table_is_refused_by_name(where: str, job: StoredJob, hdfs: Hadoop) -> None:
    damaged = replace(job, registry=hdfs.fresh("registry"))
    shard = copied_shards(job.registry, damaged.registry)[2]
    if where == "content":
        storage = open_storage(damaged.registry)
        data = bytearray(storage.read(shard))
        data[100] ^= 1
        storage.remove(shard)
        storage.create(shard, bytes(data))
    else:
        for replica in replicas(hdfs, f"{damaged.registry}/{shard}"):
            flip_byte(replica, 100)
    output = damaged.output()
    ended = damaged.run(output)
    assert (ended.code, ended.out) == (65 if where == "content" else 75, "")
    assert shard.rpartition("/")[0].rpartition("/")[2] in ended.err  # the table's key
    assert visible(output) == []


@pytest.mark.parametrize("part", ["split", "quarantine"])
def test_a_byte_that_flipped_in_a_killed_run_is_not_shown(
    part: str, job: StoredJob, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    output = job.output()
    with job.held(output, tmp_path, "output") as held:
        held.driver.kill()
        finish(held.driver)
    parent = open_storage(output.rpartition("/")[0])
    wanted = "_quarantine/" if part == "quarantine" else "/part-"
    (path, *_) = [file.path for file in parent.walk() if wanted in file.path]
    data = bytearray(parent.read(path))
    data[len(data) // 3] ^= 1
    parent.remove(path)
    parent.create(path, bytes(data))
    refused = job.run(output)
    assert (refused.code, refused.out) == (65, "")
    assert f"{path}: must be as it was written" in refused.err.replace(f"{parent.url}/", "") or path in refused.err
    assert visible(output) == []


def copied_shards(registry: str, target: str) -> list[str]:
    """Copy a registry; return the paths of its tables' shards."""
    source, copy = open_storage(registry), open_storage(target)
    paths = [file.path for file in source.walk()]
    for path in paths:
        copy.create(path, source.read(path))
    return [path for path in paths if path.endswith(".dense")]
