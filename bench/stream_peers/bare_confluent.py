"""The bare loop by confluent-kafka: ``… SERVERS REQUESTS PREDICTIONS GROUP BATCH ANSWER_BYTES``.

Poll, send an answer of a fixed text to each record, commit both in one transaction; nothing is read, checked or
rewound. Its settings are those of the stream's client in the profile ``throughput``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition


def main(argv: Sequence[str]) -> None:
    """Copy until SIGTERM."""
    servers, requests, predictions, group, batch, answer_bytes = argv
    common = {"bootstrap.servers": servers, "socket.nagle.disable": True}
    consumer = Consumer(
        {
            **common,
            "group.id": group,
            "partition.assignment.strategy": "cooperative-sticky",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 100,
            "fetch.min.bytes": 1 << 16,
            "fetch.queue.backoff.ms": 50,
        }
    )
    producer = Producer(
        {
            **common,
            "enable.idempotence": True,
            "linger.ms": 5,
            "retry.backoff.ms": 3,
            "retry.backoff.max.ms": 30,
            "message.max.bytes": 64 << 20,
            "batch.size": 1_000_000,
            "transactional.id": group,
            "delivery.report.only.error": True,
        }
    )
    producer.init_transactions(30)
    consumer.subscribe([requests])
    answer = b"x" * int(answer_bytes)
    produce = producer.produce
    while True:
        messages = consumer.consume(int(batch), 0.25)
        if not messages:
            continue
        producer.begin_transaction()
        ends: dict[Any, Any] = {}  # numbers: but the library's types allow None
        for message in messages:
            number = message.partition()
            produce(predictions, answer, message.key(), number)  # type: ignore[arg-type]
            ends[number] = message.offset()
        offsets = [TopicPartition(requests, number, last + 1) for number, last in ends.items()]
        producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), 30)
        producer.commit_transaction(30)


if __name__ == "__main__":
    main(sys.argv[1:])
