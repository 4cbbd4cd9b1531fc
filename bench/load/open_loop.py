"""Load at a constant rate, however slow the answers are, as clients that know nothing of each other make it.

A latency begins when a request was *due*, not when it was sent: a generator that cannot keep up, on a machine that it
shares with the server, would leave out just the waiting that its delay caused (coordinated omission). vegeta paces by
the clock and times from the sending, so what it was late is added here; what it had no time to send is counted.
"""

from __future__ import annotations

import csv
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.load.generator import running, tool
from bench.load.request import Request, write_targets
from engine.errors import BadSettings, Unavailable

Floats = npt.NDArray[np.float64]
_OK = 200
_TIMEOUT_S = 10
# Requests under way at once; one more waits in the generator, and its wait is part of its latency. Without a bound a
# short stall on a full machine makes thousands of connections, which the server then has to bear.
_MOST_UNDER_WAY = 128
# Columns of vegeta's CSV.
_SENT_NS, _CODE, _LATENCY_NS, _NUMBER = 0, 1, 2, 8


@dataclass(frozen=True)
class OpenLoop:
    """What came of each request, in the order in which they were due.

    Attributes:
        due_s: float64, after the first.
        lag_s: float64, by how much it was sent late.
        latency_s: float64, from when it was due to its answer's end.
        code: int64, of HTTP; 0 where there was no answer.
        unsent: how many were due and never sent, because the generator had no time left on this machine.
    """

    due_s: Floats
    lag_s: Floats
    latency_s: Floats
    code: npt.NDArray[np.int64]
    unsent: int

    @property
    def answered(self) -> npt.NDArray[np.bool_]:
        """Which were answered with 200."""
        answered: npt.NDArray[np.bool_] = self.code == _OK
        return answered

    def percentile_s(self, share: float, code: int = _OK) -> float:
        """Return the latency within which this share of the answers with ``code`` came.

        Raises:
            BadSettings: there is none.
        """
        latencies = self.latency_s[self.code == code]
        if not len(latencies):
            message = f"some of {len(self.code)} requests must be answered with {code}; got {self.counted()}"
            raise BadSettings(message)
        return percentile(latencies, share)

    def percentile_of_all_s(self, share: float) -> float:
        """Return the latency within which this share of all requests were answered with 200.

        What was not counts as the time after which a client gives up: refusing must not look like answering fast.
        """
        latencies = np.where(self.answered, self.latency_s, _TIMEOUT_S)
        return percentile(np.append(latencies, np.full(self.unsent, _TIMEOUT_S)), share)

    def counted(self) -> str:
        """Return how many answers there were of each code, for people."""
        codes, counts = np.unique(self.code, return_counts=True)
        told = [f"{code or 'no answer'}: {count}" for code, count in zip(codes, counts, strict=True)]
        return ", ".join(told + ([f"not sent: {self.unsent}"] if self.unsent else []))


def percentile(values: Floats, share: float) -> float:
    """Return the smallest of the values that no less than this share of them do not exceed (nearest rank)."""
    return float(np.quantile(values, share, method="inverted_cdf"))


def from_due(sent_ns: npt.NDArray[np.int64], latency_ns: npt.NDArray[np.int64], rate: float) -> tuple[Floats, Floats]:
    """Return by how much each request was sent late, and its latency from when it was due, both in seconds.

    Request ``i`` is due ``i / rate`` after the first; nothing is sent early, so the one that is most punctual says when
    the first was due.

    Args:
        sent_ns: int64 of shape (n,), when each was sent, in the order in which they were due.
        latency_ns: int64 of shape (n,), from then to the answer.
        rate: requests a second.
    """
    behind = sent_ns - sent_ns[0] - np.arange(len(sent_ns)) * (1e9 / rate)
    lag = (behind - behind.min()) / 1e9
    return lag, lag + latency_ns / 1e9


def open_loop(port: int, requests: Iterable[Request], *, rate: float, seconds: float) -> OpenLoop:
    """Send the requests in turn, so many a second for so long.

    Raises:
        Unavailable: vegeta is missing, or failed.
    """
    with open_loop_under_way(port, requests, rate=rate, seconds=seconds) as finish:
        return finish()


@contextmanager
def open_loop_under_way(
    port: int, requests: Iterable[Request], *, rate: float, seconds: float
) -> Iterator[Callable[[], OpenLoop]]:
    """Load the server while the context's body runs; what it is given waits for the end and returns what came of it."""
    program, whole = tool("vegeta"), max(1, round(rate))
    with tempfile.TemporaryDirectory(prefix="foretable-load-") as folder:
        targets, results = Path(folder) / "targets", Path(folder) / "results"
        write_targets(requests, port, targets)
        command = [program, "attack", "-format=json", f"-targets={targets}", f"-rate={whole}/1s"]
        command += [f"-workers={_MOST_UNDER_WAY}", f"-max-workers={_MOST_UNDER_WAY}"]
        command += [f"-duration={seconds:g}s", f"-output={results}", "-max-body=0", f"-timeout={_TIMEOUT_S}s"]
        with running(command) as process:

            def finish() -> OpenLoop:
                said, _ = process.communicate(timeout=seconds + 60)
                if process.returncode:
                    message = f"vegeta attack must end with 0; got {process.returncode}: {said[-800:].decode()}"
                    raise Unavailable(message)
                # Only now: encoding takes time of the cores that the server has.
                encoded = subprocess.run([program, "encode", "-to=csv", str(results)], capture_output=True, check=True)
                return read_csv(encoded.stdout.decode(), rate=whole, due=round(whole * seconds))

            yield finish


def read_csv(text: str, *, rate: float, due: int) -> OpenLoop:
    """Read what ``vegeta encode -to csv`` wrote of a run at ``rate`` requests a second, in which ``due`` were due.

    Raises:
        Unavailable: it holds no request.
    """
    rows = [tuple(int(row[at]) for at in (_NUMBER, _SENT_NS, _CODE, _LATENCY_NS)) for row in csv.reader(StringIO(text))]
    if not rows:
        message = "vegeta must have sent a request; got none. Raise the rate or the time"
        raise Unavailable(message)
    _, sent_ns, code, latency_ns = np.array(sorted(rows), np.int64).T
    lag_s, latency_s = from_due(sent_ns, latency_ns, rate)
    return OpenLoop(np.arange(len(rows)) / rate, lag_s, latency_s, code, max(0, due - len(rows)))
