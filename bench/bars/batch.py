"""How fast rows are scored beside what people use today, how memory grows, and where the time goes."""

from __future__ import annotations

import functools
import gc
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow.parquet as pq

from bench import batch_peers as peers
from bench.batch_data import FEATURES, publish_net, write_rows
from bench.harness import Result
from bench.measured_runner import MeasuredRunner
from bench.net import MODEL
from engine.errors import EngineBug
from engine.registry import Registry
from jobs.runner import Runner, open_runner
from jobs.scoring.job import score
from jobs.scoring.settings import ScoreSettings

PROCESSES = 2
_WARM_UP_ROWS = 2_000_000
_FEW_ROWS, _SOME_ROWS, _SMALL_REPEATS = 1_000_000, 10_000_000, 3


def compare(command: str, *, rows: int, repeats: int) -> list[Result]:
    """Score the same rows by us and by each peer in turn, on two cores, and return the ratios."""
    with tempfile.TemporaryDirectory(prefix="foretable-bench-") as folder:
        root = Path(folder)
        registry = Registry(str(root / "models"))
        release = publish_net(registry, with_table=False).number
        with_table = publish_net(registry, with_table=True).number
        runner = open_runner("spark", workers=PROCESSES)
        session = _session()
        ways: dict[str, Callable[[Path, Path], object]] = {
            "the model alone": lambda source, target: _score(registry, release, runner, source, target),
            "a release with its table": lambda source, target: _score(registry, with_table, runner, source, target),
            "the DataFrame door": lambda source, target: _through_the_door(session, registry, release, source, target),
            "predict_batch_udf with TensorFlow": lambda source, target: peers.predict_batch_udf(
                session, source, target, peers.tensorflow_predict
            ),
            "predict_batch_udf with LiteRT": lambda source, target: peers.predict_batch_udf(
                session, source, target, peers.litert_predict
            ),
            "mapInArrow with LiteRT": lambda source, target: peers.map_in_arrow(session, source, target),
            f"{PROCESSES} bare processes": lambda source, target: peers.bare(source, target, PROCESSES),
        }
        small, large = write_rows(root / "small", _WARM_UP_ROWS), write_rows(root / "rows", rows)
        for name, way in ways.items():  # sessions, workers and models start with the first rows
            _timed(name, way, small, root / "out", _WARM_UP_ROWS)
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(repeats):
            for name, way in ways.items():
                seconds[name].append(_timed(name, way, large, root / "out", rows))
                print(f"  {name}: {rows / seconds[name][-1] / 1e6:.2f} M rows/s", flush=True)
    return _ratios(command, seconds)


def grow(command: str, *, rows: int) -> list[Result]:
    """Score few and many rows with the local runner; return how time and memory grow.

    The straight line is drawn through the two small counts, each the median of several runs.
    """
    with tempfile.TemporaryDirectory(prefix="foretable-bench-") as folder:
        root = Path(folder)
        registry = Registry(str(root / "models"))
        release = publish_net(registry, with_table=False).number
        counts = (_FEW_ROWS, _SOME_ROWS, rows)
        seconds, peaks = [], []
        for count in counts:
            runner = MeasuredRunner(open_runner("local", workers=PROCESSES))
            source = write_rows(root / f"{count}", count)
            way = functools.partial(_score, registry, release, runner)
            repeats = 1 if count == rows else _SMALL_REPEATS
            seconds.append(median(_timed("us", way, source, root / "out", count) for _ in range(repeats)))
            peaks.append(runner.peak_bytes)
            rate = count / seconds[-1] / 1e6
            print(f"  {count:,} rows: {rate:.2f} M rows/s, {peaks[-1] / 1e6:.0f} MB a worker", flush=True)
    each_s = (seconds[1] - seconds[0]) / (counts[1] - counts[0])
    on_the_line_s = seconds[1] + each_s * (rows - counts[1])
    few, some, most = (count // 1_000_000 for count in counts)
    return [
        Result(
            bar=f"score {most} M rows, of the line through {few} M and {some} M",
            value=seconds[2] / on_the_line_s,
            unit="of the time",
            goal=1.15,
            better="lower",
            command=command,
        ),
        Result(
            bar="score, peak memory of a worker process",
            value=max(peaks) / 1e6,
            unit="MB",
            goal=500,
            better="lower",
            command=command,
        ),
        Result(
            bar=f"score, peak memory from {some} M to {most} M rows",
            value=peaks[2] / peaks[1],
            unit="ratio",
            goal=1.1,
            better="lower",
            command=command,
        ),
    ]


def _ratios(command: str, seconds: dict[str, list[float]]) -> list[Result]:
    def ratio(ours: str, theirs: str, goal: float) -> Result:
        pairs = zip(seconds[theirs], seconds[ours], strict=True)
        return Result(
            bar=f"score Parquet to Parquet, {ours}, of {theirs}",
            value=median(peer_s / our_s for peer_s, our_s in pairs),
            unit="times as fast",
            goal=goal,
            better="higher",
            command=command,
        )

    return [
        *(
            ratio(ours, theirs, goal)
            for ours in ("a release with its table", "the model alone")
            for theirs, goal in (
                ("predict_batch_udf with TensorFlow", 5),
                ("predict_batch_udf with LiteRT", 5),
                ("mapInArrow with LiteRT", 4),
            )
        ),
        ratio("the model alone", f"{PROCESSES} bare processes", 0.8),
        ratio("the DataFrame door", "predict_batch_udf with LiteRT", 1),
    ]


def _timed(name: str, way: Callable[[Path, Path], object], source: Path, target: Path, rows: int) -> float:
    """Return how long a way takes; see that it wrote a row for each."""
    gc.collect()
    started = time.perf_counter()
    way(source, target)
    seconds = time.perf_counter() - started
    found = sum(pq.read_metadata(file).num_rows for file in target.rglob("*.parquet"))
    if found != rows:
        message = f"{name} must write {rows} rows; got {found}"
        raise EngineBug(message)
    shutil.rmtree(target)
    return seconds


def _score(registry: Registry, release: int, runner: Runner, source: Path, target: Path) -> None:
    settings = ScoreSettings(
        model=MODEL, input=str(source), output=str(target), release=release, keep=("id",), quiet=True
    )
    score(registry, settings, lambda: runner)


def _through_the_door(session: Any, registry: Registry, release: int, source: Path, target: Path) -> None:
    from foretable.spark import score as score_frame

    rows = session.read.parquet(str(source)).select("id", *FEATURES)
    scored = score_frame(rows, MODEL, registry=registry.url, release=release, keep=["id"])
    scored.select("id", "on_time").write.parquet(str(target))  # what the peers write


def _session() -> Any:
    from pyspark.sql import SparkSession

    return SparkSession.builder.getOrCreate()
