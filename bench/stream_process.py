"""``foretable stream`` in a process of its own, and what it tells of itself."""

from __future__ import annotations

import http.client
import sys

from bench.server_process import HttpProcess, free_port
from bench.stream_broker import Job
from engine.errors import EngineBug

KAFKA_PYTHON, CONFLUENT = "kafka-python", "confluent"
CLIENTS = (KAFKA_PYTHON, CONFLUENT)
LATENCY, THROUGHPUT = "latency", "throughput"
EXACTLY_ONCE, AT_LEAST_ONCE = "exactly-once", "at-least-once"
_TIMEOUT_S = 30


class StreamProcess(HttpProcess):
    """Answers a job's requests by a model's table while the context lasts."""

    def __init__(
        self, registry: str, model: str, job: Job, *, client: str, profile: str, delivery: str = EXACTLY_ONCE
    ) -> None:
        """Keep what to start."""
        port = free_port()
        options = {
            "registry": registry,
            "brokers": job.servers,
            "client": client,
            "profile": profile,
            "delivery": delivery,
            "requests": job.requests,
            "predictions": job.predictions,
            "dead-letters": job.letters,
            "group": job.group,
            "instance": job.group,
            "monitor-port": str(port),
        }
        given = [text for name, value in options.items() for text in (f"--{name}", value)]
        super().__init__([sys.executable, "-m", "foretable", "stream", model, *given], port)

    def metrics(self) -> dict[str, float]:
        """Return its metrics by name and labels, as they stand in the exposition."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", "/metrics")
            return read_metrics(connection.getresponse().read().decode())
        finally:
            connection.close()


def read_metrics(text: str) -> dict[str, float]:
    """Read Prometheus' text form: the value of each sample, by what stands before it."""
    samples = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


def records_a_transaction(before: dict[str, float], after: dict[str, float]) -> float:
    """Return the average batch between two looks.

    Raises:
        EngineBug: there was none.
    """
    name = "foretable_stream_batch_records"
    count = after[f"{name}_count"] - before[f"{name}_count"]
    if not count:
        message = f"a stream must commit between two looks at its metrics; got {after[f'{name}_count']:.0f} commits"
        raise EngineBug(message)
    return (after[f"{name}_sum"] - before[f"{name}_sum"]) / count


def check_sources(metrics: dict[str, float]) -> None:
    """Refuse to measure a stream that does not do what it is measured for: answer all rows by the table.

    Raises:
        EngineBug: some were answered otherwise, or became dead letters.
    """
    rows = {name: value for name, value in metrics.items() if name.startswith("foretable_stream_rows_total") and value}
    letters = sum(value for name, value in metrics.items() if name.startswith("foretable_stream_dead_letters_total"))
    if letters or set(rows) != {'foretable_stream_rows_total{source="table"}'}:
        message = f"a stream must answer all rows by the table; got {rows} and {letters:.0f} dead letters"
        raise EngineBug(message)
