"""A broker for a benchmark, with topics that are filled before anything is measured, and go after."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from engine.errors import Unavailable
from services.errors import ServiceError
from services.kafka.cluster import KafkaCluster

# As many as a small deployment has: each side's one process reads them all.
PARTITIONS = 4
_TIMEOUT_S = 30.0
# librdkafka writes to the terminal by itself when the broker goes; what fails is raised anyway.
QUIET = {"log_level": 0}
# What is measured leaves some hundred megabytes a run; a minute, the broker's own, would keep all of it to the end.
_DELETE_AFTER_MS = "1000"


@dataclass(frozen=True)
class Job:
    """Where one run reads and writes, and as whom.

    Attributes:
        servers: of the broker.
        requests, predictions, letters: topics.
        group: of the consumer; of nobody before.
    """

    servers: str
    requests: str
    predictions: str
    letters: str
    group: str


class Broker:
    """One real broker while the context lasts; it ends with this process, even when that is killed.

    Attributes:
        servers: where clients connect to.
    """

    def __init__(self, folder: Path) -> None:
        """Keep where its data go."""
        self._folder = folder

    def __enter__(self) -> Self:
        """Start it.

        Raises:
            Unavailable: Java or the jars cannot be had, or it did not start.
        """
        from confluent_kafka.admin import AdminClient

        try:
            self._cluster = KafkaCluster(self._folder, leashed=True)
            self._cluster.start("kafka")
        except ServiceError as error:
            raise Unavailable(str(error)) from error
        self.servers = self._cluster.bootstrap
        self._admin: Any = AdminClient({"bootstrap.servers": self.servers, **QUIET})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it, and remove what it stored."""
        self._cluster.stop()
        self._cluster.wipe()

    @contextmanager
    def topic(self, name: str) -> Iterator[str]:
        """Make an empty topic, and remove it after."""
        from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

        topic = f"{name}-{secrets.token_hex(4)}"
        made = NewTopic(topic, PARTITIONS, 1, config={"file.delete.delay.ms": _DELETE_AFTER_MS})
        self._admin.create_topics([made])[topic].result(_TIMEOUT_S)
        try:
            yield topic
        finally:
            self._admin.delete_topics([topic])[topic].result(_TIMEOUT_S)

    @contextmanager
    def job(self, requests: str) -> Iterator[Job]:
        """Give a run topics and a group of its own to answer ``requests`` with."""
        with self.topic("predictions") as predictions, self.topic("letters") as letters:
            yield Job(self.servers, requests, predictions, letters, f"group-{secrets.token_hex(4)}")

    def fill(self, topic: str, values: Sequence[bytes], count: int) -> None:
        """Write so many records, the values in turn, an equal share to each partition.

        Without a key: so it is neither sent, nor hashed, nor does it come back.
        """
        from confluent_kafka import Producer

        producer = Producer(
            {"bootstrap.servers": self.servers, **QUIET, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000}
        )
        deadline = time.monotonic() + _TIMEOUT_S
        for number in range(count):
            value, partition = values[number % len(values)], number % PARTITIONS
            while True:
                try:
                    producer.produce(topic, value, partition=partition)
                    break
                except BufferError:
                    producer.poll(0.1)
        if producer.flush(max(0.0, deadline - time.monotonic()) + _TIMEOUT_S):
            message = f"topic {topic} must take {count} records within a minute; some did not arrive"
            raise Unavailable(message)
