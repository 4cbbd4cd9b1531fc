"""What answers a topic of requests in a comparison, each a process of its own: ours, a bare loop, Quix Streams."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.child_process import ChildProcess
from bench.committed import committed_values, watch
from bench.online_models import LOOKUP, Served
from bench.stream_broker import Broker, Job
from bench.stream_process import (
    CONFLUENT,
    EXACTLY_ONCE,
    THROUGHPUT,
    StreamProcess,
    check_sources,
    records_a_transaction,
)
from engine.errors import EngineBug, Unavailable
from engine.predictor import Predictor

ROOT = Path(__file__).resolve().parents[1]
_QUIX = ROOT / ".venv-stream-peers" / "bin" / "python"
_IMPORTS = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True)
class Backlog:
    """Requests that wait.

    Attributes:
        broker: that has them.
        topic: they are all that it holds.
        records: how many.
    """

    broker: Broker
    topic: str
    records: int

    def rate(self, side: Callable[[Job], ChildProcess], seconds: float) -> float:
        """Return how many records a second a program commits that finds them all waiting."""
        with self.broker.job(self.topic) as job, side(job) as process:
            return watch(job, process, total=self.records, seconds=seconds).steady_rate()

    def answers(self, side: Callable[[Job], ChildProcess], count: int) -> list[bytes]:
        """Return the first answers of a program."""
        with self.broker.job(self.topic) as job, side(job) as process:
            return committed_values(job, process, count)


@dataclass(frozen=True)
class Ours:
    """``foretable stream`` with a client, profile and delivery."""

    registry: str
    client: str
    profile: str = THROUGHPUT
    delivery: str = EXACTLY_ONCE

    def on(self, job: Job) -> StreamProcess:
        """Return it, not started."""
        return StreamProcess(
            self.registry, LOOKUP, job, client=self.client, profile=self.profile, delivery=self.delivery
        )

    def measure(self, backlog: Backlog, seconds: float) -> tuple[float, float]:
        """Return records a second, and records a transaction meanwhile."""
        looks: list[dict[str, float]] = []
        with backlog.broker.job(backlog.topic) as job, self.on(job) as process:
            progress = watch(
                job,
                process,
                total=backlog.records,
                seconds=seconds,
                steady=lambda: looks.append(process.metrics()),
            )
            looks.append(process.metrics())
            check_sources(looks[-1])
        return progress.steady_rate(), records_a_transaction(looks[0], looks[-1])


def bare(job: Job, *, client: str, batch: int, answer_bytes: int, table: Sequence[Path] = ()) -> ChildProcess:
    """Return the bare loop of a client, with transactions and answers as large as ours are.

    Args:
        job: what it does.
        client: whose.
        batch: records a transaction; 0 is all that have come, as in the profile ``latency``.
        answer_bytes: of the text that it sends.
        table: where the texts and all answers are, by which it answers; none sends a text.
    """
    module = "bare_confluent" if client == CONFLUENT else "bare_kafka_python"
    command = [sys.executable, "-m", f"bench.stream_peers.{module}"]
    command += [job.servers, job.requests, job.predictions, job.group, str(batch), str(answer_bytes)]
    command += map(str, table)
    return ChildProcess(command, environment=_IMPORTS)


def quix(job: Job, *, batch: int, categories: Path, answers: Path) -> ChildProcess:
    """Return Quix Streams with the same answers, and transactions as large as ours are.

    Raises:
        Unavailable: its environment is missing.
    """
    if not _QUIX.exists():
        message = f"bench-stream must have Quix Streams in {_QUIX.parents[1].name}; found none. Run make stream-peers"
        raise Unavailable(message)
    command = [str(_QUIX), "-m", "bench.stream_peers.quix_table"]
    command += [job.servers, job.requests, job.predictions, job.group, str(batch), str(categories), str(answers)]
    return ChildProcess(command, environment=_IMPORTS)


def write_answers(served: Served, folder: Path) -> Path:
    """Write the answers to all rows, by ordinal, as numpy does; return the file."""
    table = Predictor.open(served.registry, LOOKUP).table
    if table is None:
        message = f"model {LOOKUP} must have a table; got none"
        raise EngineBug(message)
    values, hits = table.lookup(np.arange(served.space.size))
    if not hits.all():
        message = f"model {LOOKUP}'s table must have all answers; {np.count_nonzero(~hits)} are missing"
        raise EngineBug(message)
    file = folder / "answers.npy"
    np.save(file, values[:, 0])
    return file
