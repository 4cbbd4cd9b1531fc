"""The latency profile in an open loop at a quarter of its capacity, from when a request was due to its answer seen."""

from __future__ import annotations

from statistics import median

import orjson

from bench.harness import Result
from bench.load.topic_open_loop import open_loop
from bench.online_models import Served
from bench.stream_process import CONFLUENT, KAFKA_PYTHON, LATENCY, check_sources
from bench.stream_sides import Backlog, Ours

SHARE = 0.25
# By client: milliseconds within which half, and 99 % must be answered.
_GOALS_MS = {KAFKA_PYTHON: (40.0, 120.0), CONFLUENT: (15.0, 60.0)}
WARM_S = 2.0


def measure(command: str, served: Served, backlog: Backlog, *, repeats: int, seconds: float) -> list[Result]:
    """Measure with both clients."""
    results = []
    values = [orjson.dumps(row) for row in served.rows]
    for client, goals in _GOALS_MS.items():
        ours = Ours(served.registry, client, profile=LATENCY)
        capacity, batch = ours.measure(backlog, seconds)
        print(f"  {client}: {capacity:,.0f}/s in transactions of {batch:,.0f}", flush=True)
        found: list[tuple[float, float]] = []
        with backlog.broker.topic("requests") as requests, backlog.broker.job(requests) as job, ours.on(job) as stream:
            for _ in range(repeats):
                loop = open_loop(job, values, rate=SHARE * capacity, warm_s=WARM_S, seconds=2 * seconds)
                print(f"  {client}: at {SHARE * capacity:,.0f}/s {loop.described()}", flush=True)
                found.append((loop.percentile_s(0.5), loop.percentile_s(0.99)))
            check_sources(stream.metrics())
        results += [
            Result(
                bar=f"stream of small JSON at a quarter of the latency profile's capacity, {client}, {name}",
                value=median(values_s) * 1e3,
                unit="ms",
                goal=goal,
                better="lower",
                command=command,
            )
            for name, values_s, goal in zip(("p50", "p99"), zip(*found, strict=True), goals, strict=True)
        ]
    return results
