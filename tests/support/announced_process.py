"""A program that runs until it is told to end, and says on one line that it is ready."""

from __future__ import annotations

import re
import selectors
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]


class AnnouncedProcess:
    """A context manager: the program is ready inside, and gone after.

    Attributes:
        logs: the file of its standard error.
        process: it.
        announcement: its line.
    """

    def __init__(
        self, argv: Sequence[str], *, logs: Path, mode: str, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start it, its log opened by ``mode``; ``__enter__`` waits until it is ready."""
        self.logs, self.announcement = logs, ""
        with logs.open(mode) as file:
            self.process = subprocess.Popen(
                argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=file, text=True, env=environment
            )

    def ready(self, pattern: str) -> re.Match[str]:
        """Wait for the announcement, which must match."""
        assert self.process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            came = selector.select(timeout=120)
        self.announcement = self.process.stdout.readline().strip() if came else ""
        found = re.fullmatch(pattern, self.announcement)
        if not found:
            self.stop(signal.SIGKILL)
            raise AssertionError(self.announcement + self.log)
        return found

    def __enter__(self) -> Self:
        """Wait for the announcement."""
        raise NotImplementedError

    def __exit__(self, *_: object) -> None:
        """End it, if the test has not."""
        if self.process.poll() is None:
            self.process.terminate()
        self._wait()

    @property
    def log(self) -> str:
        """All it has logged so far."""
        return self.logs.read_text()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, return the exit code."""
        self.process.send_signal(number)
        return self._wait()

    def _wait(self) -> int:
        try:
            return self.process.wait(timeout=60)
        finally:
            self.process.kill()  # a test that failed must leave none behind
            if self.process.stdout:
                self.process.stdout.close()
