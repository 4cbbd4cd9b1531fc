"""A producer that keeps sending requests to a stream, whatever becomes of the brokers."""

from __future__ import annotations

import itertools
import json
import logging
import threading
from collections.abc import Iterator
from typing import Self

from confluent_kafka import Producer

from tests.support.stream_records import BAD, ROW
from tests.support.stream_topics import Topics

# The header that numbers requests; it comes back with each answer.
NUMBER = "number"
# Rows cannot be answered that often.
BAD_EVERY = 17
_TICK_S = 0.05
_ARRIVED_S = 120


class Feed:
    """Sends numbered requests in turn to the partitions while the context is open; by its end they have arrived."""

    def __init__(self, topics: Topics, numbers: Iterator[int], *, partitions: int, records_a_s: int) -> None:
        """Number them by ``numbers``, which another feed may go on with."""
        self._topics, self._numbers, self._partitions = topics, numbers, partitions
        self._burst = max(1, round(records_a_s * _TICK_S))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="feed")
        self._failed: BaseException | None = None
        # It outlives the broker's restarts, and keeps the order of each partition.
        self._producer = Producer(
            {
                "bootstrap.servers": topics.kafka.bootstrap,
                "enable.idempotence": True,
                "reconnect.backoff.max.ms": 500,
                "logger": silent_logger(),
            }
        )

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Send no more, and see to it that all has arrived."""
        self._stop.set()
        self._thread.join()
        if self._failed is not None:
            raise self._failed
        left = self._producer.flush(_ARRIVED_S)
        assert not left, f"{left} requests have not arrived"

    def _work(self) -> None:
        try:
            while not self._stop.wait(_TICK_S):
                for number in itertools.islice(self._numbers, self._burst):
                    row = {**(BAD if number % BAD_EVERY == 0 else ROW), "age": number % 100}
                    headers: list[tuple[str, str | bytes | None]] = [(NUMBER, str(number))]
                    partition = number % self._partitions
                    self._producer.produce(self._topics.requests, json.dumps(row), partition=partition, headers=headers)
        except BaseException as error:  # it is the test's
            self._failed = error


def silent_logger() -> logging.Logger:
    """Return what keeps librdkafka from writing to stderr that the broker is away, which is what a test wants."""
    logger = logging.getLogger(__name__)
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    return logger
