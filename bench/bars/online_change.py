"""A release that changes under full load: what fails, what waits, and whether an answer mixes two releases.

The releases are one bundle in two codecs, so that a row's value says which of them it is of. The load is a closed loop
of lookups, for two minutes; the label moves in the second. Beside it one connection compares every answer.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from bench.answer_watch import AnswerWatch
from bench.harness import Result
from bench.load.closed_loop import ClosedLoop, closed_loop, closed_loop_under_way
from bench.online_models import LOOKUP, Row, Served, get_requests, publish_table
from bench.server_process import ServerProcess
from engine.errors import EngineBug
from engine.predictor import Predictor
from engine.registry import Registry

_WATCHED_ROWS = 1000
# Of the second minute, before the label moves: the change is to lie within it, with its 5 s until it is noticed.
_BEFORE = 0.3
_WARM_UP_S = 3


def measure(command: str, served: Served, *, minute_s: float) -> list[Result]:
    """Publish two releases, serve the second, move the label to the first."""
    registry = Registry(served.registry)
    models, watched = registry.model(LOOKUP), served.rows[:_WATCHED_ROWS]
    known, releases = {}, []
    for codec in ("float16", "float32"):
        releases.append(publish_table(registry, codec))
        known[releases[-1]] = _values(served.registry, watched)
    target, first = releases
    differing = [at for at in range(len(watched)) if known[target][at] != known[first][at]]
    watched = [watched[at] for at in differing]
    known = {release: [values[at] for at in differing] for release, values in known.items()}
    gets = get_requests(served.rows)
    label = models.label("production")
    with ServerProcess(served.registry, LOOKUP) as server:
        closed_loop(server.port, gets, seconds=_WARM_UP_S)
        with AnswerWatch(server.port, get_requests(watched), known) as watch:
            before = closed_loop(server.port, gets, seconds=minute_s)
            with closed_loop_under_way(server.port, gets, seconds=minute_s) as finish:
                threading.Event().wait(_BEFORE * minute_s)
                label.move(target, after=label.head(), reason="a benchmark")
                during = finish()
        if watch.seen != {first, target}:
            message = f"releases {first} and {target} must both have answered; got {watch.seen}. Raise the minute"
            raise EngineBug(message)
    _tell("before", before)
    _tell("with the change", during)
    print(f"  {watch.answers:,} answers were compared, of rows whose {len(watched)} values differ by release")
    failed = before.failed + during.failed + watch.failed
    figures = (
        ("requests failed", failed, "requests", 0.0),
        ("answers that mix releases", watch.mixed, "answers", 0.0),
        ("p99 of that minute beside the minute before", during.p99_s / before.p99_s, "ratio", 1.2),
    )
    return [
        Result(
            bar=f"release change under full load: {bar}",
            value=value,
            unit=unit,
            goal=goal,
            better="lower",
            command=command,
        )
        for bar, value, unit, goal in figures
    ]


def _values(registry: str, rows: Sequence[Row]) -> list[np.float32]:
    """Return the rows' values of the release that the label points to now."""
    predictor = Predictor.open(registry, LOOKUP)
    return [np.float32(predictor.predict_row(row).values[0]) for row in rows]


def _tell(name: str, loop: ClosedLoop) -> None:
    print(f"  the minute {name}: {loop.rate:,.0f}/s, p50 {loop.p50_s * 1e3:.2f} ms, p99 {loop.p99_s * 1e3:.2f} ms")
