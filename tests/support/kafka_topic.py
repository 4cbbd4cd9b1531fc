"""What tests put into topics and read from them, by another library's plain calls than the code under test."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

_WAIT_MS = 30_000


class Seen(NamedTuple):
    """A record as a reader of committed ones sees it."""

    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


def fill(servers: str, topic: str, values: Iterable[bytes], *, partitions: int = 1) -> None:
    """Put records into a topic, the first into partition 0, the next into 1, and so on around."""
    with KafkaProducer(bootstrap_servers=servers) as producer:
        for index, value in enumerate(values):
            producer.send(topic, value, partition=index % partitions)
        producer.flush()


def fill_at(servers: str, topic: str, partition: int, times_ms: Iterable[int]) -> None:
    """Put a record of each of these times into a partition, in this order."""
    with KafkaProducer(bootstrap_servers=servers) as producer:
        for time_ms in times_ms:
            producer.send(topic, b"", partition=partition, timestamp_ms=time_ms)
        producer.flush()


def seen_in(servers: str, topic: str) -> list[Seen]:
    """Return all committed records of a topic, a partition after another."""
    with KafkaConsumer(
        bootstrap_servers=servers, isolation_level="read_committed", enable_auto_commit=False, group_id=None
    ) as consumer:
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
        ends = consumer.end_offsets(partitions, timeout_ms=_WAIT_MS)
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        seen: list[Seen] = []
        while any(consumer.position(one, timeout_ms=_WAIT_MS) < ends[one] for one in partitions):
            for batch in consumer.poll(timeout_ms=1_000).values():
                seen += [Seen(one.partition, one.key, one.value, tuple(one.headers)) for one in batch]
    return sorted(seen, key=lambda one: one.partition)


def values_in(servers: str, topic: str) -> list[bytes | None]:
    """Return the values alone."""
    return [one.value for one in seen_in(servers, topic)]
