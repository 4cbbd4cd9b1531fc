"""Load as fast as a server answers: a number of connections, each of which sends its next request upon an answer.

It finds what a server can do. Its latencies are those of a server that is never asked faster than it answers, and say
nothing about clients that do not wait for each other: for those there is ``open_loop.py``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from bench.load.generator import running, tool
from bench.load.request import Request, write_raw
from engine.errors import Unavailable

_SCRIPT = Path(__file__).with_name("requests.lua")
# Enough that a server never waits for the generator, and few enough that requests do not wait for each other.
CONNECTIONS = 8


@dataclass(frozen=True)
class ClosedLoop:
    """What came of it.

    Attributes:
        rate: answers a second.
        p50_s: half of the latencies are no longer.
        p99_s: 99 % of them are no longer.
        failed: no answer, or one of 400 and up.
    """

    rate: float
    p50_s: float
    p99_s: float
    failed: int


def closed_loop(
    port: int, requests: Iterable[Request], *, seconds: float, connections: int = CONNECTIONS
) -> ClosedLoop:
    """Send random ones of the requests for so long.

    Raises:
        Unavailable: wrk is missing, or failed.
    """
    with closed_loop_under_way(port, requests, seconds=seconds, connections=connections) as finish:
        return finish()


@contextmanager
def closed_loop_under_way(
    port: int, requests: Iterable[Request], *, seconds: float, connections: int = CONNECTIONS
) -> Iterator[Callable[[], ClosedLoop]]:
    """Load the server while the context's body runs; what it is given waits for the end and returns what came of it."""
    with tempfile.TemporaryDirectory(prefix="foretable-load-") as folder:
        file = Path(folder) / "requests"
        write_raw(requests, file)
        url = f"http://127.0.0.1:{port}/"
        command = [tool("wrk"), "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "10s"]
        command += ["-s", str(_SCRIPT), url, "--", str(file)]
        with running(command) as process:

            def finish() -> ClosedLoop:
                printed, _ = process.communicate(timeout=seconds + 60)
                return _parsed(command, process.returncode, printed)

            yield finish


def _parsed(command: Sequence[str], returncode: int, printed: bytes) -> ClosedLoop:
    last = printed.splitlines()[-1] if printed.strip() else b""
    if returncode or not last.startswith(b"{"):
        message = f"{' '.join(command[:5])} must end with its figures; got {returncode}: {printed[-800:].decode()}"
        raise Unavailable(message)
    found = orjson.loads(last)
    return ClosedLoop(
        found["answers"] / found["seconds"], found["p50_us"] / 1e6, found["p99_us"] / 1e6, found["failed"]
    )
