"""Dead letters as a stream writes them, and what is read back by a client of its own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from engine.errors import InvalidInput
from streaming.dead_letter import DeadLetters
from streaming.outcome import POISON, Refused
from streaming.record import Outgoing, Partition, Record
from tests.support.kafka import Kafka

TIMEOUT_S = 60


def asked(topic: str, number: int, *, partition: int = 0, headers: Any = ()) -> Record:
    """Return request ``number`` of a topic, whose value, key and offset tell it."""
    key, value = f"k{number}".encode(), json.dumps({"city": f"city {number}", "age": number}).encode()
    own = (("correlation-id", f"id-{number}".encode()), ("empty", None), *headers)
    return Record(Partition(topic, partition), number, 1_700_000_000_000 + number, key, value, own)


def letter(
    record: Record,
    topic: str = "dead",
    *,
    disposition: str = POISON,
    cause: str = "unknown_category",
    redact: Sequence[str] = (),
    whole: bool = True,
) -> Outgoing:
    """Return the dead letter of a request, for a topic of one partition."""
    error = InvalidInput("feature 'city' must be known; got '\x1b[31mAtlantis'", cause=cause, feature="city")
    return DeadLetters(topic, 1, redact=redact).of(record, Refused(error, disposition), whole=whole)


def as_read(outgoing: Outgoing, offset: int = 0, timestamp_ms: int = 1_700_000_060_000) -> Record:
    """Return what a reader gets of a record that was sent."""
    return Record(outgoing.partition, offset, timestamp_ms, outgoing.key, outgoing.value, outgoing.headers)


def write(kafka: Kafka, records: Iterable[Outgoing], *, transactional_id: str | None = None) -> None:
    """Write records, in one transaction where an id is given."""
    with KafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=transactional_id) as producer:
        if transactional_id:
            producer.init_transactions()
            producer.begin_transaction()
        for record in records:
            headers = [(name, value or b"") for name, value in record.headers]
            producer.send(
                record.partition.topic,
                record.value,
                key=record.key,
                headers=headers,
                partition=record.partition.number,
            )
        producer.flush(TIMEOUT_S)
        if transactional_id:
            producer.commit_transaction()


def read_committed(kafka: Kafka, topic: str, partitions: int = 1) -> list[Any]:
    """Return the committed records of a topic, up to where it ends now."""
    found = []
    with KafkaConsumer(bootstrap_servers=kafka.bootstrap, isolation_level="read_committed") as consumer:
        here = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(here)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(here)
        while any(consumer.position(one) < end for one, end in ends.items()):
            for records in consumer.poll(timeout_ms=100).values():
                found += records
    return found
