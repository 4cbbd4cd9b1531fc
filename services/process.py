"""A process by its id and its start: an id alone may belong to a stranger by the time it is used."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass

import psutil

# psutil derives the start from the time of boot, which moves a little when the clock is set. No id is reused within it.
_TOLERANCE_S = 2.0
_POLL_S = 0.02
# How long a daemon may take to end when asked to: HDFS and YARN need one or two, more on a busy machine.
GRACE_S = 10.0


@dataclass(frozen=True)
class ProcessIdentity:
    """One process for all time.

    Attributes:
        pid: its id; it leads a process group of its own.
        started_s: when it started, in seconds since 1970.
    """

    pid: int
    started_s: float

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """Return the identity of a live process.

        Raises:
            ProcessLookupError: there is none with this id.
        """
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess as error:
            message = f"process {pid} has ended"
            raise ProcessLookupError(message) from error

    @property
    def alive(self) -> bool:
        """Whether this very process runs. A child that ended is reaped by the look."""
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.started_s) > _TOLERANCE_S:
                return False
            if process.status() == psutil.STATUS_ZOMBIE:
                _reap(self.pid)
                return False
        except psutil.NoSuchProcess:
            return False
        return True

    def end(self, *, grace_s: float) -> None:
        """Ask the process to end; kill its group where it has not within ``grace_s``. Returns when it is gone."""
        if not self.alive:
            return
        with suppress(ProcessLookupError):  # it has ended since
            os.kill(self.pid, signal.SIGTERM)
        if not self._wait_gone(grace_s):
            self.kill()

    def kill(self) -> None:
        """Kill the process and its group, unannounced. Returns when it is gone."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            while not self._wait_gone(1):  # nothing outlives SIGKILL: only the kernel is still at it
                continue

    def _wait_gone(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while self.alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True


def _reap(pid: int) -> None:
    """Forget an ended child; a process of somebody else's is left to its parent."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
