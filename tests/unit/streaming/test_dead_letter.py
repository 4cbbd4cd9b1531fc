from __future__ import annotations

import hashlib
import json

import pytest

from engine.errors import InvalidInput
from streaming.dead_letter import DeadLetters, attempts
from streaming.outcome import POISON, Refused
from streaming.record import UNREADABLE, Partition
from tests.support.stream_records import BAD, record

REFUSED = Refused(
    InvalidInput("feature 'city' must be one of a; got 'Atlantis'", cause="unknown", feature="city"), POISON
)


def test_letter_is_the_request_and_why() -> None:
    request = record(BAD, 7, partition=5, headers=(("correlation-id", b"c"), ("correlation-id", b"d")), key=b"k")
    letter = DeadLetters("letters", 3).of(request, REFUSED)
    assert (letter.partition, letter.key, letter.value) == (Partition("letters", 2), b"k", request.value)
    assert letter.headers[:2] == request.headers
    told = dict(letter.headers[2:])
    assert told["foretable-cause"] == b"unknown"
    assert told["foretable-feature"] == b"city"
    assert told["foretable-disposition"] == b"poison"
    assert told["foretable-attempts"] == b"1"
    origin = json.loads(told["foretable-origin"] or b"")
    assert origin == {"topic": "requests", "partition": 5, "offset": 7, "timestamp_ms": 1_700_000_000_000}


def test_one_that_came_again_counts_on() -> None:
    first = DeadLetters("letters", 1).of(record(BAD), REFUSED)
    again = DeadLetters("letters", 1).of(record(BAD, headers=first.headers), REFUSED)
    assert attempts(again.headers) == 2
    assert [name for name, _ in again.headers] == [name for name, _ in first.headers]


@pytest.mark.parametrize("text", [None, b"", b"x", b"-1", b"99999", "٣".encode()])
def test_attempts_that_are_no_number_begin_anew(text: bytes | None) -> None:
    assert attempts((("foretable-attempts", text),)) == 0


def test_one_that_is_too_large_goes_as_its_digest() -> None:
    request = record(BAD)
    assert request.value is not None
    letter = DeadLetters("letters", 1).of(request, REFUSED, whole=False)
    assert letter.value is None
    assert dict(letter.headers)["foretable-digest"] == f"sha256:{hashlib.sha256(request.value).hexdigest()}".encode()


@pytest.mark.parametrize(
    "value", [BAD, [BAD, BAD], b"{", b'"Atlantis"', b"\xff\xff\xff\xffAtlantis", {"city": ["Atlantis"]}]
)
def test_redacted_letter_shows_nothing(value: object) -> None:
    letter = DeadLetters("letters", 1, redact=("city",)).of(record(value, key=b"Atlantis"), REFUSED)
    assert "Atlantis" not in str(letter)
    if value == BAD:
        assert json.loads(letter.value or b"") == {**BAD, "city": "***"}


def test_headers_that_cannot_be_read_are_left_out() -> None:
    letter = DeadLetters("letters", 3).of(record(BAD, 7, headers=UNREADABLE), REFUSED)
    assert all(name.startswith("foretable-") for name, _ in letter.headers)
