"""Load on a topic at a constant rate, however slow the answers are, and how long each took from when it was due.

A sender and a reader in processes of their own share the machine's monotonic clock. See ``open_loop.py`` for why a
latency begins when a request was due.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.load.open_loop import Floats, percentile
from bench.stream_broker import PARTITIONS, Job
from engine.errors import Unavailable

# From its start, the sender needs so long for its imports and to connect.
_START_S = 1.0
# What has no answer after this is counted as taking so long.
PATIENCE_S = 10.0


@dataclass(frozen=True)
class Latencies:
    """What came of each request that was due after the warming up.

    Attributes:
        latency_s: float64, from when it was due to when its answer was seen; ``PATIENCE_S`` where none was.
        lag_s: float64, by how much it was sent late, which is part of its latency.
        unanswered: how many had no answer.
    """

    latency_s: Floats
    lag_s: Floats
    unanswered: int

    def percentile_s(self, share: float) -> float:
        """Return the latency within which this share of all were answered."""
        return percentile(self.latency_s, share)

    def described(self) -> str:
        """Return it for people."""
        times = ", ".join(f"p{share * 100:.0f} {self.percentile_s(share) * 1e3:,.1f} ms" for share in (0.5, 0.99))
        sent = f"sent late by {percentile(self.lag_s, 0.99) * 1e3:,.1f} ms at p99"
        return (
            f"{times} of {len(self.latency_s):,} ({sent}{f', {self.unanswered} not answered' * bool(self.unanswered)})"
        )


def latencies(sent_s: Floats, seen_s: Floats, *, start_s: float, rate: float, warm_s: float) -> Latencies:
    """Compare when each request was due, sent, and its answer seen; all float64 of shape (n,), NaN for never."""
    due_s = start_s + np.arange(len(sent_s)) / rate
    counted = due_s >= start_s + warm_s
    took_s = (seen_s - due_s)[counted]
    missing = np.isnan(took_s)
    return Latencies(np.where(missing, PATIENCE_S, took_s), (sent_s - due_s)[counted], int(missing.sum()))


def open_loop(job: Job, values: Sequence[bytes], *, rate: float, warm_s: float, seconds: float) -> Latencies:
    """Send the values in turn, so many a second for so long after a warming up, and wait for the answers.

    Raises:
        Unavailable: the sender or the reader failed.
    """
    run, count = secrets.token_hex(4), max(1, round(rate * (warm_s + seconds)))
    with tempfile.TemporaryDirectory(prefix="foretable-load-") as name:
        folder = Path(name)
        (folder / "rows").write_bytes(b"\n".join(values))
        sent, seen = folder / "sent.npy", folder / "seen.npy"
        place = [str(PARTITIONS), run, str(count), str(PATIENCE_S), str(seen)]
        with _python("topic_reader", job.servers, job.predictions, *place) as reader:
            try:
                assert reader.stdout
                if reader.stdout.readline() != b"ready\n":
                    raise _failed(reader)
                start_s = time.monotonic() + _START_S
                what = [str(PARTITIONS), str(folder / "rows"), run, f"{rate!r}", str(count), f"{start_s!r}", str(sent)]
                with _python("topic_sender", job.servers, job.requests, *what) as sender:
                    _finish(sender, _START_S + warm_s + seconds + 6 * PATIENCE_S)
                _finish(reader, 3 * PATIENCE_S)
            finally:
                reader.kill()
        return latencies(np.load(sent), np.load(seen), start_s=start_s, rate=rate, warm_s=warm_s)


def _python(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"bench.load.{module}", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _finish(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
    if process.wait():
        raise _failed(process)


def _failed(process: subprocess.Popen[bytes]) -> Unavailable:
    process.kill()
    _, said = process.communicate()
    return Unavailable(
        f"the load on a topic must end with 0; got {process.returncode}: {said[-800:].decode(errors='replace')}"
    )
