"""The bare loop by confluent-kafka: ``… SERVERS REQUESTS PREDICTIONS GROUP BATCH ANSWER_BYTES [CATEGORIES ANSWERS]``.

Poll, send an answer of a fixed text to each record, commit both in one transaction; nothing is read, checked or
rewound. Its settings are those of the stream's client, in the profile ``throughput`` or, for a batch of 0, ``latency``.
With the two files it answers, too, in the same way as Quix Streams does: what one process of Python can do at most.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from orjson import dumps, loads

from bench.stream_peers.table import answer_by

# As much as comes while a transaction is under way.
LATENCY_MOST = 10_000


def main(argv: Sequence[str]) -> None:
    """Copy until SIGTERM."""
    servers, requests, predictions, group, batch, answer_bytes, *table = argv
    most = int(batch) or LATENCY_MOST
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
            "fetch.wait.max.ms": 100 if int(batch) else 10,
            "fetch.min.bytes": 1 << 16 if int(batch) else 1,
            "fetch.queue.backoff.ms": 50,
        }
    )
    producer = Producer(
        {
            **common,
            "enable.idempotence": True,
            "linger.ms": 5 if int(batch) else 0,
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
    text = b"x" * int(answer_bytes)
    answer = answer_by(*table) if table else None
    produce = producer.produce
    while True:
        messages = consumer.consume(1, 0.25)
        if not messages:
            continue
        messages += consumer.consume(most - 1, 0.25 if int(batch) else 0)
        producer.begin_transaction()
        ends: dict[Any, Any] = {}  # numbers: but the library's types allow None
        for message in messages:
            number = message.partition()
            value = dumps(answer(loads(message.value()))) if answer else text  # type: ignore[arg-type]
            produce(predictions, value, message.key(), number)  # type: ignore[arg-type]
            ends[number] = message.offset()
        offsets = [TopicPartition(requests, number, last + 1) for number, last in ends.items()]
        producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), 30)
        producer.commit_transaction(30)


if __name__ == "__main__":
    main(sys.argv[1:])
