"""The stream's program, as users start it."""

from __future__ import annotations

import sys
import urllib.request
from pathlib import Path
from typing import Self

from tests.support.announced_process import AnnouncedProcess
from tests.support.waiting import wait_until


class StreamProcess(AnnouncedProcess):
    """``foretable stream``. Inside the context it takes part in its group."""

    def __init__(self, *options: str, logs: Path) -> None:
        """Start it; ``__enter__`` waits until it takes part."""
        argv = [sys.executable, "-m", "streaming.program", "--monitor-port", "0", *options]
        super().__init__(argv, logs=logs, mode="ab")
        self.monitor = ""

    def __enter__(self) -> Self:
        """Wait for the announcement."""
        self.monitor = self.ready(r"answering .+ monitored on (http://.+)")[1]
        return self

    def metric(self, line: str) -> float:
        """Return one sample of its metrics by its name and labels; 0 where there is none yet."""
        with urllib.request.urlopen(f"{self.monitor}/metrics", timeout=30) as response:
            text = response.read().decode()
        found = [each for each in text.splitlines() if each.startswith(line + " ")]
        return float(found[0].rpartition(" ")[2]) if found else 0.0

    def wait_for_metric(self, line: str, value: float) -> None:
        """Wait until a sample has a value."""
        wait_until(lambda: self.metric(line) == value, what=f"{line} is {value}", timeout_s=60)
