"""The stream's program, as users start it."""

from __future__ import annotations

import re
import selectors
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Self

from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]


class StreamProcess:
    """``foretable stream``. A context manager: it takes part in its group inside, and is gone after."""

    def __init__(self, *options: str, logs: Path) -> None:
        """Start it; ``__enter__`` waits until it takes part."""
        self.logs = logs
        argv = [sys.executable, "-m", "streaming.program", "--monitor-port", "0", *options]
        with logs.open("ab") as file:
            self.process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=file, text=True)
        self.announcement, self.monitor = "", ""

    def __enter__(self) -> Self:
        """Wait for the announcement."""
        assert self.process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            ready = selector.select(timeout=120)
        self.announcement = self.process.stdout.readline().strip() if ready else ""
        found = re.fullmatch(r"answering .+ monitored on (http://.+)", self.announcement)
        if not found:
            self.stop(signal.SIGKILL)
            raise AssertionError(self.announcement + self.log)
        self.monitor = found[1]
        return self

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

    def metric(self, line: str) -> float:
        """Return one sample of its metrics by its name and labels; 0 where there is none yet."""
        with urllib.request.urlopen(f"{self.monitor}/metrics", timeout=30) as response:
            text = response.read().decode()
        found = [each for each in text.splitlines() if each.startswith(line + " ")]
        return float(found[0].rpartition(" ")[2]) if found else 0.0

    def wait_for_metric(self, line: str, value: float) -> None:
        """Wait until a sample has a value."""
        wait_until(lambda: self.metric(line) == value, what=f"{line} is {value}", timeout_s=60)

    def _wait(self) -> int:
        try:
            return self.process.wait(timeout=60)
        finally:
            self.process.kill()  # a test that failed must leave none behind
            if self.process.stdout:
                self.process.stdout.close()
