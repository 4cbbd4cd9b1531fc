"""How fast tables are computed beside bare LiteRT, and how much memory a worker needs."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from statistics import median

from bench.bare_litert import bare_seconds
from bench.harness import Result
from bench.measured_runner import MeasuredRunner
from bench.net import MODEL, write_net
from engine.registry import Registry
from jobs.precompute import PrecomputeSettings, precompute
from jobs.runner import Runner, open_runner

PROCESSES = 2
_WARM_UP_ROWS = 500_000
# How much larger the large space is than the small one, where memory must be flat.
_GROWTH = 10


@dataclass(frozen=True)
class Run:
    """One precompute: how many rows, how long, and the largest worker's peak."""

    rows: int
    seconds: float
    peak_bytes: int


def measure(command: str, *, rows: int, repeats: int, spark: bool) -> list[Result]:
    """Precompute about ``rows`` rows by each runner and by bare LiteRT in turn, and a tenth of them for the memory."""
    local_runner = open_runner("local", workers=PROCESSES)
    spark_runner = open_runner("spark", workers=PROCESSES) if spark else None
    if spark_runner:  # the session's workers start with its first job
        compute(spark_runner, _WARM_UP_ROWS)
    small = [compute(runner, rows // _GROWTH) for runner in (local_runner, spark_runner) if runner]
    over_bare: list[float] = []
    over_local: list[float] = []
    peaks = [run.peak_bytes for run in small]
    growth = 0.0
    for _ in range(repeats):
        local = compute(local_runner, rows)
        over_bare.append(bare_seconds(local.rows, processes=PROCESSES) / local.seconds)
        peaks.append(local.peak_bytes)
        growth = max(growth, local.peak_bytes / small[0].peak_bytes)
        if spark_runner:
            by_spark = compute(spark_runner, rows)
            over_local.append(local.seconds / by_spark.seconds)
            peaks.append(by_spark.peak_bytes)
            growth = max(growth, by_spark.peak_bytes / small[1].peak_bytes)
        print(f"  local {local.rows / local.seconds / 1e6:.2f} M rows/s, {over_bare[-1]:.2f} of bare LiteRT")
    results = [
        Result(
            bar=f"precompute, local runner, of {PROCESSES} bare LiteRT processes",
            value=median(over_bare),
            unit="ratio",
            goal=0.7,
            better="higher",
            command=command,
        ),
        Result(
            bar="precompute, peak memory of a worker process",
            value=max(peaks) / 1e6,
            unit="MB",
            goal=600,
            better="lower",
            command=command,
        ),
        Result(
            bar=f"precompute, peak memory as the space grows {_GROWTH} times",
            value=growth,
            unit="ratio",
            goal=1.1,
            better="lower",
            command=command,
        ),
    ]
    if over_local:
        bar = "precompute, Spark runner after session start, of the local runner"
        results.insert(
            1,
            Result(bar=bar, value=median(over_local), unit="ratio", goal=0.7, better="higher", command=command),
        )
    return results


def compute(runner: Runner, rows: int) -> Run:
    """Precompute a table of about so many rows in a registry that is gone afterwards."""
    measured = MeasuredRunner(runner)
    with tempfile.TemporaryDirectory(prefix="foretable-bench-") as folder:
        registry = Registry(folder)
        bundle = write_net(registry, rows)
        settings = PrecomputeSettings(model=MODEL, bundle=bundle)
        started = time.perf_counter()
        done = precompute(registry, settings, lambda: measured)
        return Run(done.rows, time.perf_counter() - started, measured.peak_bytes)
