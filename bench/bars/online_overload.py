"""Three times the requests that a model of 5 ms a row can answer: what is answered, what is refused, lookups beside.

Capacity is what a closed loop finds, with as many connections as the server admits requests. All that is compared is an
open loop.
"""

from __future__ import annotations

import time

from bench.deep_net import FILE, row_seconds
from bench.harness import Result
from bench.load.closed_loop import closed_loop
from bench.load.open_loop import OpenLoop, open_loop, open_loop_under_way, percentile
from bench.online_models import DEEP, LOOKUP, Served, get_requests, post_requests, predict_path
from bench.server_process import ServerProcess

TIMES = 3
_ADMITTED = 16
_SHED = 503
# Two runs of one server at its capacity differ by about so much.
_FULL = 0.95
# So few that they are no load of their own.
_LOOKUPS_A_SECOND = 100
# "Within a second": what is due from then on must be answered as it was before.
_SETTLED_S, _AFTER_S = 1, 2


def measure(command: str, served: Served, *, seconds: float) -> list[Result]:
    """Find the capacity; load at it, and past it with lookups beside; then load at it once more, at once."""
    row_s = row_seconds(FILE.read_bytes(), served.space)
    posts, gets = post_requests(served.rows, predict_path(DEEP)), get_requests(served.rows)
    with ServerProcess(served.registry, LOOKUP, DEEP) as server:
        port = server.port
        rate = closed_loop(port, posts, seconds=seconds, connections=_ADMITTED).rate
        print(f"  the deep net takes {row_s * 1e3:.1f} ms a row in process, and the server answers {rate:,.0f}/s")
        idle = open_loop(port, gets, rate=_LOOKUPS_A_SECOND, seconds=seconds)
        at = open_loop(port, posts, rate=rate, seconds=seconds)
        with open_loop_under_way(port, gets, rate=_LOOKUPS_A_SECOND, seconds=seconds) as finish:
            ended = time.perf_counter() + seconds
            past = open_loop(port, posts, rate=TIMES * rate, seconds=seconds)
            settled_s = max(0.0, _SETTLED_S - (time.perf_counter() - ended))
            after = open_loop(port, posts, rate=rate, seconds=_AFTER_S)
            beside = finish()
    _tell("at capacity", at)
    _tell(f"at {TIMES} times that", past)
    _tell("just after", after)
    _tell("lookups by themselves", idle)
    _tell("lookups beside", beside)
    full_speed = _answered_share(after, settled_s) / _answered_share(at, 0)
    lost = int((~past.answered & (past.code != _SHED)).sum())
    figures = (
        (
            "p99 of what is answered, beside that at capacity",
            past.percentile_s(0.99) / at.percentile_s(0.99),
            "ratio",
            2,
        ),
        ("p99 of what is refused", past.percentile_s(0.99, _SHED) * 1e3, "ms", 50),
        ("requests neither answered nor told to come back", lost, "requests", 0),
        ("p50 of lookups beside it, to idle", beside.percentile_s(0.5) / idle.percentile_s(0.5), "ratio", 1.5),
        ("p99 of lookups beside it, to idle", beside.percentile_s(0.99) / idle.percentile_s(0.99), "ratio", 1.5),
    )
    return [
        *(
            Result(bar=f"overload: {bar}", value=value, unit=unit, goal=goal, better="lower", command=command)
            for bar, value, unit, goal in figures
        ),
        Result(
            bar="overload: share answered from 1 s after on, beside that at capacity",
            value=full_speed,
            unit="ratio",
            goal=_FULL,
            better="higher",
            command=command,
        ),
    ]


def _answered_share(loop: OpenLoop, from_s: float) -> float:
    """Return the share of the requests due from then on that were answered by 200."""
    return float(loop.answered[loop.due_s >= from_s].mean())


def _tell(name: str, loop: OpenLoop) -> None:
    ms = 1e3 * loop.percentile_s(0.5), 1e3 * loop.percentile_s(0.99), 1e3 * percentile(loop.lag_s, 0.99)
    print(f"  {name}: {loop.counted()}; p50 {ms[0]:.2f} ms, p99 {ms[1]:.2f} ms; 99 % sent within {ms[2]:.2f} ms")
