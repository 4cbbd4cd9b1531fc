"""Scoring from S3 to S3 while the driver is killed: there is no output before its manifest, and then all of it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.storage import open_storage
from tests.support.programs import finish, processes_of
from tests.support.s3 import running_s3
from tests.support.soak import chosen
from tests.support.stored_job import SPLITS, StoredJob, staged, stored_content
from tests.support.waiting import wait_until

Undisturbed = dict[str, str]
# Where a job is killed, and how many splits are visible then.
DRIVER_KILLS = [("split", 3), ("split", 0), ("output", SPLITS), ("split", SPLITS - 1)]


@pytest.fixture(scope="module")
def job() -> Iterator[StoredJob]:
    with running_s3() as bucket:
        yield StoredJob.prepare(lambda name: f"{bucket}/{name}-{secrets.token_hex(4)}", {})


@pytest.fixture(scope="module")
def undisturbed(job: StoredJob) -> Undisturbed:
    output = job.output()
    assert job.run(output).json()["computed"] == SPLITS
    return stored_content(output)


@pytest.mark.parametrize("at, splits", chosen(DRIVER_KILLS))
def test_a_killed_driver(at: str, splits: int, job: StoredJob, undisturbed: Undisturbed, tmp_path: Path) -> None:
    output = job.output()
    with job.held(output, tmp_path, at, splits) as held:
        held.driver.kill()
        finish(held.driver)
    wait_until(lambda: not processes_of(str(held.reached)), what="its workers are gone", timeout_s=10)
    names = open_storage(output).names()
    assert {"_manifest.json", "_SUCCESS"}.isdisjoint(names)
    assert len(staged(output)) == splits
    assert job.run(output).json()["computed"] == SPLITS - splits
    assert stored_content(output) == undisturbed


def test_what_another_run_left_is_refused_and_stays(job: StoredJob, tmp_path: Path) -> None:
    output = job.output()
    with job.held(output, tmp_path, "split", 3) as held:
        held.driver.kill()
        finish(held.driver)
    left = staged(output)
    other = job.run(output, "--prefix", "other_")
    assert (other.code, other.out) == (65, "")
    assert "must be empty or of this run; got 3 other files" in other.err
    assert staged(output) == left
