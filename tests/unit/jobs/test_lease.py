"""Leases: taking, renewing, losing and releasing a lock, on a clock moved by hand."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.errors import AlreadyExists, BadArtifact, BadSettings, ForetableError, NotFound, Unavailable
from engine.manifest import new_manifest, parse_manifest, seal
from engine.storage import Storage, open_storage
from jobs.lease import Lease
from jobs.lease_record import SKEW_S, LeaseRecord
from tests.support.manual_clock import ManualClock
from tests.support.waiting import wait_until

LOCK = "scores/day.lock"


@pytest.fixture
def storage() -> Storage:
    return open_storage(f"memory://test-{secrets.token_hex(8)}")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def new_lease(storage: Storage, clock: ManualClock) -> Callable[[], Lease]:
    return lambda: Lease(storage, LOCK, clock=clock)


def numbers(storage: Storage) -> list[int]:
    return [int(name.removesuffix(".json")) for name in storage.names(LOCK)]


def record(storage: Storage, number: int) -> LeaseRecord:
    path = f"{LOCK}/{number:08d}.json"
    return LeaseRecord.from_bytes(storage.read(path), where=path)


def record_of_another(clock: ManualClock, number: int, *, released: bool = False) -> bytes:
    now = clock()
    return LeaseRecord(
        number=number, host="other", pid=7, nonce="f00d", time=now, until=now + 60, released=released
    ).to_bytes()


def test_a_record_says_who_holds_it_until_when(
    storage: Storage, clock: ManualClock, new_lease: Callable[[], Lease]
) -> None:
    new_lease().acquire()
    path = f"{LOCK}/00000001.json"
    fields = parse_manifest(storage.read(path), kind="lease", version=1, where=path)
    assert fields["nonce"]
    del fields["nonce"], fields["format"]
    assert fields == {
        "number": 1,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "time": "2026-01-01T00:00:00.000Z",
        "until": "2026-01-01T00:01:00.000Z",
        "released": False,
    }
    assert record(storage, 1).until == clock() + 60


def test_a_held_lock_is_refused_by_name(clock: ManualClock, storage: Storage, new_lease: Callable[[], Lease]) -> None:
    new_lease().acquire()
    clock.advance(15)
    with pytest.raises(Unavailable) as raised:
        new_lease().acquire()
    assert raised.value.exit_code == 75
    assert str(raised.value) == (
        f"lock {storage.url}/{LOCK}: must be free; it is held by {socket.gethostname()} pid {os.getpid()} until "
        "2026-01-01T00:01:00.000Z (renewed 2026-01-01T00:00:00.000Z). Wait, or stop that run"
    )
    assert numbers(storage) == [1]


def test_a_lock_is_free_after_its_release(storage: Storage, new_lease: Callable[[], Lease]) -> None:
    with new_lease() as lease:
        lease.check()
    with new_lease():
        pass
    assert numbers(storage) == [1, 2, 3, 4]
    assert [record(storage, number).released for number in (1, 2, 3, 4)] == [False, True, False, True]


def test_a_lock_is_given_back_when_the_work_fails(new_lease: Callable[[], Lease]) -> None:
    with pytest.raises(ZeroDivisionError), new_lease():
        raise ZeroDivisionError
    new_lease().acquire()


def test_locks_of_other_names_are_apart(storage: Storage, clock: ManualClock, new_lease: Callable[[], Lease]) -> None:
    new_lease().acquire()
    Lease(storage, "scores/other.lock", clock=clock).acquire()


def test_a_killed_holder_keeps_others_out_for_the_lease_and_the_skew(
    clock: ManualClock, new_lease: Callable[[], Lease]
) -> None:
    new_lease().acquire()  # and its process is killed
    clock.advance(60 + SKEW_S)
    with pytest.raises(Unavailable, match="must be free"):
        new_lease().acquire()
    clock.advance(0.01)
    new_lease().acquire()


def test_a_renewed_lease_lasts(clock: ManualClock, storage: Storage, new_lease: Callable[[], Lease]) -> None:
    lease = new_lease()
    lease.acquire()
    for _ in range(10):
        clock.advance(59)
        lease.renew()
        lease.check()
        with pytest.raises(Unavailable, match="must be free"):
            new_lease().acquire()
    assert numbers(storage) == list(range(4, 12))  # eight are kept
    lease.release()
    assert numbers(storage) == list(range(5, 13))
    new_lease().acquire()


def test_a_lease_that_ended_is_lost_though_nobody_took_it(
    clock: ManualClock, storage: Storage, new_lease: Callable[[], Lease]
) -> None:
    lease = new_lease()
    lease.acquire()
    clock.advance(59.9)
    lease.check()
    clock.advance(2.1)
    for use in (lease.check, lease.renew):
        with pytest.raises(
            Unavailable, match=r"within 60 s; it ended 2\.0 s ago \(this process did not run\).*run again"
        ):
            use()
    lease.release()
    assert numbers(storage) == [1]  # what may be another's by now is not touched


def test_a_lease_that_another_took_is_lost(
    clock: ManualClock, storage: Storage, new_lease: Callable[[], Lease]
) -> None:
    lease = new_lease()
    lease.acquire()
    storage.create(f"{LOCK}/00000002.json", record_of_another(clock, 2))  # its clock is far ahead
    lease.check()  # cannot know yet
    for use in (lease.renew, lease.check):
        with pytest.raises(Unavailable, match="held by other pid 7 until"):
            use()
    lease.release()
    assert numbers(storage) == [1, 2]


def test_a_check_before_the_lease(new_lease: Callable[[], Lease]) -> None:
    with pytest.raises(Unavailable, match="must be held; got no lease"):
        new_lease().check()


def test_a_released_lease_is_not_held(new_lease: Callable[[], Lease]) -> None:
    lease = new_lease()
    with lease:
        pass
    with pytest.raises(Unavailable, match="must be held; got no lease"):
        lease.check()


@pytest.mark.parametrize("scheme", ["file", "memory"])
@pytest.mark.parametrize("before", ["never held", "released", "ended"])
def test_of_8_runs_one_wins(storage: Storage, scheme: str, before: str, tmp_path: Path) -> None:
    storage = storage if scheme == "memory" else open_storage(str(tmp_path))
    clock = ManualClock()
    first = Lease(storage, LOCK, clock=clock)
    if before != "never held":
        first.acquire()
    if before == "released":
        first.release()
    clock.advance(100)
    start = threading.Barrier(8)

    def take(_: int) -> Lease | None:
        lease = Lease(storage, LOCK, clock=clock)
        start.wait()
        try:
            lease.acquire()
        except Unavailable:
            return None
        return lease

    with ThreadPoolExecutor(8) as pool:
        (winner,) = filter(None, pool.map(take, range(8)))
    winner.check()
    winner.renew()


class Stopped(Storage):
    """Stands still before its next write until the other runs have gone on."""

    meanwhile: Callable[[], object] | None = None

    def create(self, path: str, data: bytes) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            meanwhile()
        super().create(path, data)


@pytest.mark.parametrize("runs", [1, 4, 5, 20])
@pytest.mark.parametrize("held", [True, False])
def test_a_run_that_stood_still_gives_way(storage: Storage, clock: ManualClock, runs: int, held: bool) -> None:
    slow = Stopped(storage.url)
    holders: list[Lease] = []

    def meanwhile() -> None:
        for _ in range(runs):
            with Lease(storage, LOCK, clock=clock):
                pass
        if held:
            holders.append(Lease(storage, LOCK, clock=clock))
            holders[0].acquire()

    slow.meanwhile = meanwhile
    with pytest.raises(Unavailable, match="it is held by" if held else "held it a moment ago. Try again"):
        Lease(slow, LOCK, clock=clock).acquire()
    before = numbers(storage)
    assert before == list(range(max(before) - len(before) + 1, max(before) + 1))  # it took its own record back
    for holder in holders:
        holder.renew()
    if not held:
        Lease(storage, LOCK, clock=clock).acquire()


class LateListing(Storage):
    """Lists only what it is told to, as an object store may for a while."""

    shown: list[str]

    def names(self, path: str = "") -> list[str]:
        return self.shown


@pytest.mark.parametrize("shown", [[], ["00000001.json"], ["00000002.json", "notes.txt"]])
def test_records_that_no_listing_shows_are_probed(
    storage: Storage, clock: ManualClock, shown: list[str], new_lease: Callable[[], Lease]
) -> None:
    lease = new_lease()
    lease.acquire()
    lease.renew()
    lease.renew()
    late = LateListing(storage.url)
    late.shown = shown
    with pytest.raises(Unavailable, match="it is held by"):
        Lease(late, LOCK, clock=clock).acquire()


class LostAnswer(Storage):
    """Writes, and loses the answer: at once found again (``AlreadyExists``), or as if it were down."""

    error: type[ForetableError] | None = None

    def create(self, path: str, data: bytes) -> None:
        super().create(path, data)
        if error := self.error:
            self.error = None
            message = f"{path}: no answer"
            raise error(message)


@pytest.mark.parametrize("use", ["renew", "release"])
@pytest.mark.parametrize("error", [AlreadyExists, Unavailable])
def test_one_s_own_write_is_known_again(
    storage: Storage, clock: ManualClock, use: str, error: type[ForetableError]
) -> None:
    losing = LostAnswer(storage.url)
    lease = Lease(losing, LOCK, clock=clock)
    lease.acquire()
    losing.error = error
    if error is Unavailable:
        with pytest.raises(Unavailable, match="no answer"):
            lease.renew()
    getattr(lease, use)()
    assert record(storage, max(numbers(storage))).released == (use == "release")


class Down(Storage):
    """A storage that takes no write while it is down."""

    down = False
    refused = 0

    def create(self, path: str, data: bytes) -> None:
        if self.down:
            self.refused += 1
            message = f"{path}: connection refused. Try again"
            raise Unavailable(message)
        super().create(path, data)


def test_a_storage_that_is_down_for_a_moment(storage: Storage, clock: ManualClock) -> None:
    down = Down(storage.url)
    lease = Lease(down, LOCK, clock=clock)
    lease.acquire()
    down.down = True
    clock.advance(50)
    with pytest.raises(Unavailable, match="connection refused"):
        lease.renew()
    lease.check()
    down.down = False
    lease.renew()
    clock.advance(50)
    lease.check()


# The thread's pauses are real, a third of the lease; the lease itself ends on the clock that stands still.
SHORT_S = 0.3


def test_the_thread_renews(storage: Storage, clock: ManualClock) -> None:
    with Lease(storage, LOCK, lease_s=SHORT_S, clock=clock) as lease:
        wait_until(lambda: max(numbers(storage)) > 12, what="the lease was renewed twelve times")
        lease.check()
        assert len(numbers(storage)) <= 9  # the eight that are kept, and one just written
    assert record(storage, max(numbers(storage))).released


def test_the_thread_notices_that_it_lost(
    storage: Storage, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    def take_away() -> bool:
        number = max(numbers(storage)) + 1
        try:
            storage.create(f"{LOCK}/{number:08d}.json", record_of_another(clock, number))
        except AlreadyExists:
            return False
        return True

    with caplog.at_level(logging.WARNING), Lease(storage, LOCK, lease_s=SHORT_S, clock=clock) as lease:
        wait_until(take_away, what="another took the next number")
        wait_until(lambda: "could not be renewed" in caplog.text, what="the loss was logged")
        with pytest.raises(Unavailable, match="held by other pid 7"):
            lease.check()


def test_a_failed_renewal_is_logged_once_and_says_so_at_the_end(
    storage: Storage, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    down = Down(storage.url)
    with caplog.at_level(logging.WARNING), Lease(down, LOCK, lease_s=SHORT_S, clock=clock) as lease:
        down.down = True
        wait_until(lambda: down.refused > 3, what="the thread tried again and again")
        lease.check()
        assert len(caplog.records) == 1
        clock.advance(SHORT_S)
        with pytest.raises(Unavailable, match=r"it ended 0\.0 s ago \(.*connection refused.*\)"):
            lease.check()
        wait_until(lambda: len(caplog.records) == 2, what="the loss was logged")
    assert ["connection refused" in one.getMessage() for one in caplog.records] == [True, True]


def test_a_release_that_fails_is_said_and_does_not_fail_the_work(
    storage: Storage, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    down = Down(storage.url)
    with caplog.at_level(logging.WARNING), Lease(down, LOCK, clock=clock):
        down.down = True
    assert "could not be released, and ends by itself within 60 s: " in caplog.text


@pytest.mark.parametrize("lease_s", [0.0, -1.0, float("nan")])
def test_a_lease_of_no_time_is_refused(storage: Storage, lease_s: float) -> None:
    with pytest.raises(BadSettings, match="must be more than 0 seconds"):
        Lease(storage, LOCK, lease_s=lease_s)


DAMAGED = {
    "empty": b"",
    "cut short": b'{"format":{"kind":"lease","ver',
    "another kind": seal(new_manifest("label", 1, number=1)),
    "a later version": seal(new_manifest("lease", 2, number=1)),
    "a field missing": seal(new_manifest("lease", 1, number=1, time="2026-01-01T00:00:00Z")),
    "no time": seal(new_manifest("lease", 1, number=1, time="now", until="later")),
    "another number": record_of_another(ManualClock(), 2),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_head_that_cannot_be_read_is_never_skipped(
    storage: Storage, damage: str, new_lease: Callable[[], Lease]
) -> None:
    storage.create(f"{LOCK}/00000001.json", DAMAGED[damage])
    with pytest.raises(BadArtifact, match=r"scores/day\.lock/00000001\.json.*When no run is under way, delete"):
        new_lease().acquire()


class Vanishing(Storage):
    """Every record is gone when it is read."""

    def read(self, path: str) -> bytes:
        message = f"{path} does not exist"
        raise NotFound(message)


def test_records_that_never_stay_are_given_up(
    storage: Storage, clock: ManualClock, new_lease: Callable[[], Lease]
) -> None:
    new_lease().acquire()
    with pytest.raises(Unavailable, match="must have a record that stays"):
        Lease(Vanishing(storage.url), LOCK, clock=clock).acquire()
