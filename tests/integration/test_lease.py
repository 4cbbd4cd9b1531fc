"""Leases between real processes: a race, a kill, and a holder that stood still."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from engine.errors import Unavailable
from engine.storage import open_storage
from jobs.lease import Lease
from jobs.lease_record import SKEW_S
from tests.support.programs import Finished, finish, start
from tests.support.waiting import wait_until

LOCK = "day.lock"
LEASE_S = 3.0  # a busy machine may keep a holder waiting for two thirds of it


@pytest.fixture
def holders(tmp_path: Path) -> Iterator[Holders]:
    with ExitStack() as stack:
        yield Holders(tmp_path, stack)


class Holders:
    """Processes that take the lock of one directory and hold it until a file appears there."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self.root, self._stack = root, stack

    def start(self, lease_s: float = LEASE_S) -> subprocess.Popen[str]:
        process = start(sys.executable, "-m", "tests.support.lease_holder", str(self.root), LOCK, str(lease_s))
        self._stack.callback(self._stop, process)
        return process

    def finish(self, process: subprocess.Popen[str]) -> Finished:
        """Let the holders go, and wait for this one."""
        (self.root / "go").touch()
        return finish(process)

    def held_by(self, process: subprocess.Popen[str]) -> bool:
        return (self.root / f"held-{process.pid}").exists()

    @staticmethod
    def _stop(process: subprocess.Popen[str]) -> None:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.communicate()


def take(root: Path, *, ahead_s: float = 0.0) -> bool:
    """Take and release the lock on a clock that is ahead; return whether it was free."""
    try:
        with Lease(open_storage(str(root)), LOCK, clock=lambda: time.time() + ahead_s):
            return True
    except Unavailable:
        return False


def test_of_8_processes_one_takes_the_lock(holders: Holders) -> None:
    racers = [holders.start(lease_s=60.0) for _ in range(8)]
    wait_until(
        lambda: sum(racer.poll() is None for racer in racers) == 1 and any(map(holders.held_by, racers)),
        what="one process held the lock and seven were turned away",
    )
    (winner,) = (racer for racer in racers if racer.poll() is None)
    for racer in racers:
        if racer is not winner:
            done = finish(racer)
            assert done.code == 75
            assert f"it is held by {os.uname().nodename} pid {winner.pid} until" in done.err
    done = holders.finish(winner)
    assert (done.code, done.out) == (0, "kept\n"), done.err
    assert take(holders.root)


def test_a_killed_holder_s_lock_is_free_after_its_lease(holders: Holders) -> None:
    holder = holders.start()
    wait_until(lambda: holders.held_by(holder), what="the lock was held")
    renewed = holders.root / LOCK / "00000002.json"
    wait_until(renewed.exists, what="the lease was renewed")
    holder.kill()
    killed = time.monotonic()
    holder.wait()
    assert not take(holders.root)
    wait_until(lambda: take(holders.root), what="the lock was free")
    assert time.monotonic() - killed > SKEW_S


def test_a_holder_that_stood_still_finds_that_it_lost_the_lock(holders: Holders) -> None:
    holder = holders.start()
    wait_until(lambda: holders.held_by(holder), what="the lock was held")
    os.kill(holder.pid, signal.SIGSTOP)
    wait_until(lambda: take(holders.root, ahead_s=SKEW_S), what="another took the lock")
    names = open_storage(str(holders.root)).names(LOCK)
    os.kill(holder.pid, signal.SIGCONT)
    done = holders.finish(holder)
    assert done.code == 75
    assert "must be " in done.err
    assert "kept" not in done.out
    assert open_storage(str(holders.root)).names(LOCK) == names  # it released nothing that is not its own
