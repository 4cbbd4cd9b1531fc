"""Requests that cannot be answered, beside those that can, on a real broker, with both clients."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import Producer

from streaming.clients.client import CLIENTS
from tests.support.kafka import Kafka
from tests.support.kafka_topic import seen_in
from tests.support.poison import Poison, poisons
from tests.support.stream_records import MISS, ROW, arrow
from tests.support.stream_topics import PARTITIONS, Topics

pytestmark = pytest.mark.kafka

MAX_ROWS = 1000
LETTER_BYTES = 200_000
GOOD = [json.dumps(ROW).encode(), json.dumps([ROW, MISS]).encode(), arrow([MISS])]


@pytest.mark.parametrize("client", CLIENTS)
def test_every_good_one_is_answered_and_every_bad_one_put_aside(
    kafka: Kafka, published: Path, tmp_path: Path, client: str
) -> None:
    topics = Topics(
        kafka,
        client,
        kafka.fresh_topic("requests", partitions=PARTITIONS, config={"max.message.bytes": "4000000"}),
        kafka.fresh_topic("predictions", partitions=PARTITIONS),
        kafka.fresh_topic("letters", partitions=PARTITIONS, config={"max.message.bytes": str(LETTER_BYTES)}),
    )
    bad = {poison.kind: poison for poison in poisons(max_rows=MAX_ROWS, larger_than=LETTER_BYTES)}
    good = send(topics, list(bad.values()))
    with topics.stream(published, tmp_path, "--max-rows", str(MAX_ROWS), "--late", "dead-letter") as running:
        running.wait_for_metric("foretable_stream_records_total", len(good) + len(bad))
        assert running.stop() == 0
        assert "Traceback" not in running.log

    answers = seen_in(kafka.bootstrap, topics.predictions)
    assert Counter(answer.key for answer in answers) == Counter(good)
    letters = {(one.key or b"").decode(): one for one in seen_in(kafka.bootstrap, topics.dead_letters)}
    told = {
        kind: (headers["foretable-cause"], headers["foretable-disposition"])
        for kind, headers in ((kind, dict(letter.headers)) for kind, letter in letters.items())
    }
    assert told == {kind: (poison.cause.encode(), poison.disposition.encode()) for kind, poison in bad.items()}
    for kind, letter in letters.items():
        headers, value = dict(letter.headers), bad[kind].value
        assert headers["foretable-message"]
        assert headers["trace"] == kind.encode()
        if value is not None and len(value) > LETTER_BYTES:
            digest = hashlib.sha256(value).hexdigest()
            assert (letter.value, headers["foretable-digest"]) == (None, f"sha256:{digest}".encode())
        else:
            assert (letter.value, "foretable-digest" in headers) == (value, False)


def send(topics: Topics, bad: list[Poison]) -> list[bytes]:
    """Send bad requests, each between good ones and with its kind as its key; return the good ones' keys."""
    keys = []
    # Not kafka-python's producer, which sends no header without a value.
    producer = Producer({"bootstrap.servers": topics.kafka.bootstrap, "message.max.bytes": 4_000_000})
    for place, poison in enumerate(bad):
        for number, value in enumerate(GOOD):
            if number == 1:
                headers: list[tuple[str, str | bytes | None]] = [("trace", poison.kind.encode()), *poison.headers]
                producer.produce(topics.requests, poison.value, poison.kind, place % PARTITIONS, headers=headers)
            keys.append(f"{place}-{number}".encode())
            producer.produce(topics.requests, value, keys[-1], place % PARTITIONS)
    assert producer.flush(60) == 0
    return keys
