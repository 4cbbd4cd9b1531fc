"""The bare loop by kafka-python: ``… SERVERS REQUESTS PREDICTIONS GROUP BATCH ANSWER_BYTES``.

Poll, send an answer of a fixed text to each record, commit both in one transaction; nothing is read, checked or
rewound. Its settings are those of the stream's client, in the profile ``throughput`` or, for a batch of 0, ``latency``.
It calls the library's ``send``, as everybody does.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from kafka import KafkaConsumer, KafkaProducer
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.structs import OffsetAndMetadata

# As much as comes while a transaction is under way.
LATENCY_MOST = 10_000


def main(argv: Sequence[str]) -> None:
    """Copy until SIGTERM."""
    servers, requests, predictions, group, batch, answer_bytes = argv
    common = {"bootstrap_servers": servers, "metrics_enabled": False}
    consumer = KafkaConsumer(
        **common,
        group_id=group,
        partition_assignment_strategy=[CooperativeStickyAssignor],
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100 if int(batch) else 10,
        fetch_min_bytes=1 << 16 if int(batch) else 1,
        retry_backoff_ms=20,
    )
    producer = KafkaProducer(
        **common,
        transactional_id=group,
        enable_idempotence=True,
        acks="all",
        linger_ms=5 if int(batch) else 0,
        batch_size=64 * 1024,
        retry_backoff_ms=3,
        max_request_size=64 << 20,
    )
    producer.init_transactions()
    consumer.subscribe([requests])
    answer = b"x" * int(answer_bytes)
    send = producer.send
    while True:
        found = consumer.poll(timeout_ms=250, max_records=int(batch) or LATENCY_MOST)
        if not found:
            continue
        producer.begin_transaction()
        for place, records in found.items():
            for record in records:
                send(predictions, value=answer, key=record.key, partition=place.partition)
        ends = {place: OffsetAndMetadata(records[-1].offset + 1, "", -1) for place, records in found.items()}
        producer.send_offsets_to_transaction(ends, consumer.group_metadata())
        producer.commit_transaction()


if __name__ == "__main__":
    main(sys.argv[1:])
