"""A program that a benchmark measures, in a process of its own while a context lasts."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from engine.errors import Unavailable

_WAIT_S = 60.0


class ChildProcess:
    """A program and whatever it starts. What it says is kept, and shown where it ends too soon."""

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
        """Keep what to start, and what its environment has beside ours."""
        self._command = list(command)
        self._environment = {**os.environ, **(environment or {})}

    def __enter__(self) -> Self:
        """Start it."""
        self._log = tempfile.TemporaryFile()  # closed by __exit__
        self._process = subprocess.Popen(
            self._command,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=self._environment,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drain and end it, and what it has left behind: some servers end before their workers, or without them."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_WAIT_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()

    def check_alive(self) -> None:
        """Raise ``Unavailable``, with the last of what it said, where it has ended."""
        if self._process.poll() is not None:
            must = "run for as long as it is measured"
            raise self.failure(must)

    def failure(self, must: str) -> Unavailable:
        """Return the error that it did not do what it must, with the last of what it said."""
        code = self._process.poll()
        # By position: moving the place in a file that the process may still write to would move its writing, too.
        size = os.fstat(self._log.fileno()).st_size
        said = os.pread(self._log.fileno(), 800, max(0, size - 800)).decode(errors="replace")
        ending = "no end" if code is None else f"exit code {code}"
        return Unavailable(f"{' '.join(self._command[1:4])} must {must}; got {ending}: {said}")
