"""Sizes of records, against those that a client's own encoder comes to."""

from __future__ import annotations

import pytest
from kafka.record.default_records import DefaultRecordBatchBuilder

from streaming.clients.client import TooLarge
from streaming.clients.record_size import LARGEST_BYTES, RecordSizes
from streaming.record import Headers, Outgoing, Partition

AT = Partition("topic", 0)
CASES: list[tuple[bytes | None, bytes | None, Headers]] = [
    (None, None, ()),
    (b"", b"", ()),
    (b"key", b"value", ()),
    (None, b"x" * 100_000, ()),
    (b"k" * 70_000, b"v", (("one", b"1" * 20_000), ("null", None), ("", b""))),
    (b"k", b"v", (("ümläut", b"x" * 200),) * 50),
    (b"k", b"v", (("\U0001f600" * 300, None),)),
]


def encoded_bytes(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=1,
        producer_id=2**62,
        producer_epoch=1,
        base_sequence=1,
        batch_size=0,
    )
    builder.append(0, 1_700_000_000_000, key, value, headers)
    return len(builder.build())


@pytest.mark.parametrize("key, value, headers", CASES)
def test_what_a_topic_does_not_take_is_refused(key: bytes | None, value: bytes | None, headers: Headers) -> None:
    sizes = RecordSizes()
    sizes.learn("topic", encoded_bytes(key, value, headers) - 1)
    with pytest.raises(TooLarge, match=r"topic 'topic': a record must be of .* bytes or fewer"):
        sizes.check(Outgoing(AT, key, value, headers))


@pytest.mark.parametrize("key, value, headers", CASES)
def test_what_it_takes_with_room_is_not(key: bytes | None, value: bytes | None, headers: Headers) -> None:
    sizes = RecordSizes()
    room = 50 + sum(10 + 3 * len(name.encode()) for name, _ in headers)
    sizes.learn("topic", encoded_bytes(key, value, headers) + room)
    sizes.check(Outgoing(AT, key, value, headers))


def test_each_topic_has_its_own_limit() -> None:
    sizes = RecordSizes()
    assert sizes.smallest == LARGEST_BYTES
    sizes.learn("small", 1_000)
    sizes.learn("huge", 10 * LARGEST_BYTES)
    assert sizes.smallest == 1_000
    sizes.check(Outgoing(AT, None, b"x" * 10_000_000))
    sizes.check(Outgoing(Partition("huge", 0), None, b"x" * 10_000_000))
    with pytest.raises(TooLarge, match="of 1,000 bytes or fewer"):
        sizes.check(Outgoing(Partition("small", 0), None, b"x" * 1_000))
    with pytest.raises(TooLarge):
        sizes.check(Outgoing(Partition("huge", 0), None, b"x" * LARGEST_BYTES))
