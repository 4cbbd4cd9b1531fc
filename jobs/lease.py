"""A lease: of all runs that name one lock, one works; when its process is killed, another may after a while.

Storage has no overwrite and no compare-and-set, only create-if-absent. So a lock is a folder of numbered records, and
its highest record says who holds it and until when. Taking, renewing and releasing are each one record more:

1. Create the next number. If it is taken, somebody else was first.
2. Look for a higher number. There is one only if this process stood still for so long after it had looked that the
   number it then created had been used and pruned meanwhile; it gives way.
3. Prune the records far below.

A lease saves work that two runs would do twice. It is not what keeps an output whole: a process can stop between
``check`` and its next step, and what is shown must be create-if-absent all the same.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from engine.errors import AlreadyExists, BadArtifact, BadSettings, ForetableError, NotFound, Unavailable
from engine.manifest import time_text
from engine.storage import Storage
from jobs.lease_record import LeaseRecord

# How long a killed run keeps the others out. Shorter: a storage that is down for a moment costs a run its lease.
# Longer: the next run waits longer than it must.
LEASE_S = 60.0
# Renewals a lease. At 3, two may fail before the lease is lost; more are more records for nothing.
_RENEWALS = 3
# How many records stay. A listing can miss a file created and a file deleted while it was under way; it would have to
# take as long as this many renewals (160 s) to miss all of them, and then to take the lock for one never held.
_KEPT = 8
# How often a record that was listed may be pruned before it is read, before the storage is said to be unusable.
_READS = 5

_log = logging.getLogger(__name__)


class Lease:
    """A hold on a lock, renewed by a thread while it is a context manager.

    ``with Lease(storage, "scores/2026-01-01.lock") as lease:`` takes it or raises; ``lease.check()`` raises where it
    was lost meanwhile. Only ``check`` is for other threads than the one that made it.
    """

    def __init__(
        self, storage: Storage, folder: str, *, lease_s: float = LEASE_S, clock: Callable[[], float] = time.time
    ) -> None:
        """Name a lock, which need not exist yet.

        Args:
            storage: where its records are.
            folder: the folder that is the lock, and holds nothing else.
            lease_s: how long the lease lasts without a renewal.
            clock: gives seconds since the epoch.

        Raises:
            BadSettings: the lease is not longer than no time.
        """
        if not lease_s > 0:
            message = f"lease_s of lock {folder!r} must be more than 0 seconds; got {lease_s!r}"
            raise BadSettings(message)
        self._storage, self._folder, self._lease_s, self._clock = storage, folder, lease_s, clock
        self._host, self._pid, self._nonce = socket.gethostname(), os.getpid(), secrets.token_hex(8)
        self._where = f"lock {storage.url}/{folder}"
        self._held: LeaseRecord | None = None
        self._lost = ""  # who has it now
        self._failure = ""  # why the last renewal did not work
        self._stop = threading.Event()
        self._renewer: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Take the lock and keep it; raises as ``acquire``."""
        self.acquire()
        self._renewer = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._renewer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lock back; where that fails, say so: it ends by itself, and the work is done."""
        self._stop.set()
        if self._renewer:
            self._renewer.join()
        try:
            self.release()
        except ForetableError as failure:
            _log.warning(
                "%s: could not be released, and ends by itself within %g s: %s", self._where, self._lease_s, failure
            )

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            Unavailable: another run holds it, or was quicker.
            BadArtifact: its highest record is damaged; it is never skipped, for it may be somebody's.
        """
        head = self._head()
        if head and not head.is_free(self._clock()):
            raise Unavailable(self._taken_by(head))
        self._held = self._append(head.number + 1 if head else 1)
        self._lost = self._failure = ""

    def check(self) -> None:
        """Make sure that the lock is still held; call it before anything is shown. Reads no storage.

        Raises:
            Unavailable: it was lost: somebody else took it, or it could not be renewed in time.
        """
        held = self._held
        if held is None:
            message = f"{self._where}: must be held; got no lease. Acquire it first"
            raise Unavailable(message)
        if self._lost:
            raise Unavailable(self._lost)
        if (late_s := self._clock() - held.until) >= 0:
            cause = self._failure or "this process did not run"
            message = (
                f"{self._where}: must be renewed within {self._lease_s:g} s; it ended {late_s:.1f} s ago ({cause}). "
                "Another run may have it now: run again"
            )
            raise Unavailable(message)

    def renew(self) -> None:
        """Prolong the lease by one record.

        Raises:
            Unavailable: it was lost, or the storage is down: then it is still held until its end.
        """
        self.check()
        assert self._held is not None
        self._held = self._append(self._held.number + 1)
        self._failure = ""

    def release(self) -> None:
        """Let others take the lock at once; nothing where it is not held any more.

        Raises:
            Unavailable: the storage is down.
        """
        held, self._held = self._held, None
        while held and not held.released and not self._lost and self._clock() < held.until:
            held = self._append(held.number + 1, released=True)  # or a renewal of ours whose answer was lost: once more

    def _keep(self) -> None:
        """Renew until the end of the work, or of the lease."""
        pause_s = period_s = self._lease_s / _RENEWALS
        while not self._stop.wait(pause_s):
            try:
                self.renew()
                pause_s = period_s
            except ForetableError as error:
                lost = self._lost or self._held is None or self._clock() >= self._held.until
                if lost or pause_s == period_s:  # the first failure of a row, and the one that ends it
                    _log.warning("%s: could not be renewed: %s", self._where, error)
                if lost:
                    return
                self._failure = str(error)
                pause_s = period_s / 10  # the rest of the lease is short

    def _append(self, number: int, *, released: bool = False) -> LeaseRecord:
        """Create the record of this number; return it, or what an earlier try of ours left under it.

        Raises:
            Unavailable: the number is another's, or there is a higher one.
        """
        now = self._clock()  # before the write: the time that it takes counts against us
        record = LeaseRecord(
            number=number,
            host=self._host,
            pid=self._pid,
            nonce=self._nonce,
            time=now,
            until=now if released else now + self._lease_s,
            released=released,
        )
        try:
            self._storage.create(self._path(number), record.to_bytes())
        except AlreadyExists as error:
            found = self._find(number)
            if found is None or found.nonce != self._nonce:
                self._lost = self._taken_by(self._find(self._probe(number)))
                raise Unavailable(self._lost) from error
            record = found
        numbers = self._numbers()
        if (highest := self._probe(max(number, *numbers))) > number:
            self._storage.remove(self._path(number))
            self._lost = self._taken_by(self._find(highest))
            raise Unavailable(self._lost)
        self._prune([old for old in numbers if old <= number - _KEPT])
        return record

    def _prune(self, numbers: list[int]) -> None:
        try:
            for number in numbers:
                self._storage.remove(self._path(number))
        except ForetableError as error:  # they harm nobody, and the next renewal tries again
            _log.debug("%s: old records stay: %s", self._where, error)

    def _head(self) -> LeaseRecord | None:
        """Return the highest record, or None where there is none."""
        for _ in range(_READS):
            number = self._probe(max(self._numbers(), default=0))
            if not number:
                return None
            if record := self._find(number):
                return record
        message = f"{self._where}: must have a record that stays; got {_READS} that were gone when read. Try again"
        raise Unavailable(message)

    def _numbers(self) -> list[int]:
        return [
            int(stem) for name in self._storage.names(self._folder) if (stem := name.removesuffix(".json")).isdigit()
        ]

    def _probe(self, number: int) -> int:
        """Return the highest number from this one up: a listing is a lower bound."""
        while self._storage.exists(self._path(number + 1)):
            number += 1
        return number

    def _find(self, number: int) -> LeaseRecord | None:
        """Read a record; None where it was pruned since it was seen."""
        path = self._path(number)
        try:
            record = LeaseRecord.from_bytes(self._storage.read(path), where=f"{self._storage.url}/{path}")
            if record.number != number:
                message = f"{path}: must be record {number}; got record {record.number}. It was moved by hand"
                raise BadArtifact(message)
            return record
        except NotFound:
            return None
        except BadArtifact as error:
            message = f"{error}. When no run is under way, delete {self._folder}"
            raise BadArtifact(message) from error

    def _taken_by(self, record: LeaseRecord | None) -> str:
        if record is None or record.released:
            return f"{self._where}: must be free; another run held it a moment ago. Try again"
        until, renewed = (time_text(moment, timespec="milliseconds") for moment in (record.until, record.time))
        return (
            f"{self._where}: must be free; it is held by {record.host} pid {record.pid} until {until} "
            f"(renewed {renewed}). Wait, or stop that run"
        )

    def _path(self, number: int) -> str:
        return f"{self._folder}/{number:08d}.json"
