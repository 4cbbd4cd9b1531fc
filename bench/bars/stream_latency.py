"""The latency profile in an open loop at a quarter of its capacity, from when a request was due to its answer seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import orjson

from bench.child_process import ChildProcess
from bench.harness import Result
from bench.load.topic_open_loop import open_loop
from bench.online_models import Served
from bench.stream_broker import Broker, Job
from bench.stream_process import CONFLUENT, KAFKA_PYTHON, LATENCY, StreamProcess, check_sources
from bench.stream_sides import Backlog, Ours, bare

SHARE = 0.25
# By client: milliseconds within which half, and 99 % must be answered.
_GOALS_MS = {KAFKA_PYTHON: (40.0, 120.0), CONFLUENT: (15.0, 60.0)}
WARM_S = 2.0
_SHARES = {"p50": 0.5, "p99": 0.99}
# What a bare loop of the same client takes at the same rate is the least that there is; half as much again is for
# answering.
_OF_BARE = 1.5
_ANSWER_BYTES = 150


def measure(command: str, served: Served, backlog: Backlog, *, repeats: int, seconds: float) -> list[Result]:
    """Measure with both clients."""
    results = []
    values = [orjson.dumps(row) for row in served.rows]
    for client, goals in _GOALS_MS.items():
        ours = Ours(served.registry, client, profile=LATENCY)
        capacity, batch = ours.measure(backlog, seconds)
        print(f"  {client}: {capacity:,.0f}/s in transactions of {batch:,.0f}", flush=True)
        load = _Load(backlog.broker, values, SHARE * capacity, repeats, seconds)
        found = load.percentiles_ms(client, ours.on)
        loop = partial(bare, client=client, batch=0, answer_bytes=_ANSWER_BYTES)
        floor = load.percentiles_ms(f"{client}, bare loop", loop)
        name = f"stream of small JSON at a quarter of the latency profile's capacity, {client}"
        figures = [
            *((f"{name}, {at}", ms, "ms", goal) for at, ms, goal in zip(_SHARES, found, goals, strict=True)),
            (f"{name}, p50 beside a bare loop's", found[0] / floor[0], "ratio", _OF_BARE),
        ]
        results += [
            Result(bar=bar, value=value, unit=unit, goal=goal, better="lower", command=command)
            for bar, value, unit, goal in figures
        ]
    return results


@dataclass(frozen=True)
class _Load:
    """Open loops, one after the other, on one program that goes on through all."""

    broker: Broker
    values: Sequence[bytes]
    rate: float
    repeats: int
    seconds: float

    def percentiles_ms(self, name: str, side: Callable[[Job], ChildProcess]) -> list[float]:
        """Return the medians of each of ``_SHARES`` over the loops."""
        found = []
        with self.broker.topic("requests") as requests, self.broker.job(requests) as job, side(job) as process:
            for _ in range(self.repeats):
                loop = open_loop(job, self.values, rate=self.rate, warm_s=WARM_S, seconds=2 * self.seconds)
                print(f"  {name}: at {self.rate:,.0f}/s {loop.described()}", flush=True)
                found.append([loop.percentile_s(share) * 1e3 for share in _SHARES.values()])
            if isinstance(process, StreamProcess):
                check_sources(process.metrics())
        return [median(each) for each in zip(*found, strict=True)]
