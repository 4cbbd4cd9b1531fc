"""Letters as they are read: what they tell, and what is sent again."""

from __future__ import annotations

import pytest

from streaming.letters.letter import IS_DIGEST, IS_REDACTED, NO_ORIGIN, Letter, original_headers
from streaming.letters.selection import Selection, dispositions, instant
from streaming.record import Partition, Record
from tests.support.letters import as_read, asked, letter


def test_what_a_stream_wrote_is_read() -> None:
    found = Letter.of(as_read(letter(asked("requests", 7, partition=3)), offset=12))
    assert (found.place, found.disposition, found.cause, found.feature) == (
        "0:12",
        "poison",
        "unknown_category",
        "city",
    )
    assert (found.origin, found.origin_offset, found.origin_ms) == (Partition("requests", 3), 7, 1_700_000_000_007)
    assert (found.attempts, found.obstacle) == (1, None)


def test_the_request_is_what_it_was_and_keeps_its_attempts() -> None:
    record = asked("requests", 7, partition=3, headers=[("foretable-attempts", b"2"), ("foretable-deadline", b"1")])
    sent = Letter.of(as_read(letter(record))).request("again", 2)
    assert sent.partition == Partition("again", 1)
    assert (sent.key, sent.value) == (record.key, record.value)
    assert sent.headers == (("correlation-id", b"id-7"), ("empty", None), ("foretable-attempts", b"3"))


def test_headers_that_only_look_like_ours_stay() -> None:
    headers = (("foretable", b"a"), ("foretable-cause", b"b"), ("x-foretable-cause", b"c"), ("a", b"1"), ("a", b"2"))
    assert [value for _, value in original_headers(headers)] == [b"a", b"c", b"1", b"2"]


def test_what_cannot_be_sent_again() -> None:
    record = asked("requests", 7)
    assert Letter.of(as_read(letter(record, whole=False))).obstacle == IS_DIGEST
    assert Letter.of(as_read(letter(record, redact=["plan"]))).obstacle == IS_REDACTED  # its key is gone all the same
    assert Letter.of(as_read(letter(record))._replace(headers=())).obstacle == NO_ORIGIN


@pytest.mark.parametrize(
    "origin",
    [
        b"",
        b"{",
        b"[]",
        b'{"topic": "t"}',
        b'{"topic": "", "partition": 0, "offset": 0, "timestamp_ms": 0}',
        b'{"topic": "t", "partition": -1, "offset": 0, "timestamp_ms": 0}',
        b'{"topic": "t", "partition": true, "offset": 0, "timestamp_ms": 0}',
        b'{"topic": "t", "partition": 0, "offset": "1", "timestamp_ms": 0}',
    ],
)
def test_an_origin_that_is_none(origin: bytes) -> None:
    record = Record(
        Partition("dead", 0), 0, -1, None, None, (("foretable-origin", origin), ("foretable-cause", b"\xff"))
    )
    found = Letter.of(record)
    assert (found.origin, found.obstacle, found.cause) == (None, NO_ORIGIN, "�")


def test_a_selection() -> None:
    found = Letter.of(as_read(letter(asked("requests", 7)), timestamp_ms=5_000))
    assert Selection().has(found)
    assert Selection(dispositions=("model", "poison"), causes=("unknown_category",), since_s=5.0).has(found)
    assert not Selection(dispositions=("transient",)).has(found)
    assert not Selection(causes=("bad_body",)).has(found)
    assert not Selection(since_s=5.1).has(found)


def test_instants() -> None:
    assert instant("1970-01-02") == 86_400
    assert instant("1970-01-01T01:00:00+01:00") == 0
    assert 7000 < instant("1h") - instant("3h") < 7300
    with pytest.raises(ValueError, match="a time such as"):
        instant("yesterday")
    assert dispositions("poison,model") == ("poison", "model")
    with pytest.raises(ValueError, match="of poison, transient"):
        dispositions("poison,")
