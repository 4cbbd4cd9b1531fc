"""A dead letter, as it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from streaming.dead_letter import (
    ATTEMPTS,
    CAUSE,
    DIGEST,
    DISPOSITION,
    FEATURE,
    MESSAGE,
    ORIGIN,
    PREFIX,
    REDACTED,
    attempts,
)
from streaming.record import Headers, Outgoing, Partition, Record

# Why a letter cannot be sent again.
IS_DIGEST, IS_REDACTED, NO_ORIGIN = "a digest stands for its value", "it is redacted", "it does not say its origin"


@dataclass(frozen=True)
class Letter:
    """A record of a topic of dead letters, which anybody may have written: nothing in it is sure to be there.

    Attributes:
        record: as it lies in the topic.
        cause: why the request has no answer; empty where the record does not say, as the next ones.
        feature: at fault, if one is.
        message: what is wrong.
        disposition: what is to be done about it.
        attempts: how often the request has become a dead letter.
        origin: where the request lay, or None.
        origin_ms: the time of the request; -1 where it is not known.
        origin_offset: its offset; -1 where it is not known.
        digest: what stands for its value, if something does.
        redacted: the features whose values are not shown, joined by commas.
    """

    record: Record
    cause: str
    feature: str
    message: str
    disposition: str
    attempts: int
    origin: Partition | None
    origin_ms: int
    origin_offset: int
    digest: str
    redacted: str

    @classmethod
    def of(cls, record: Record) -> Letter:
        """Read a record."""
        headers = dict(record.headers)

        def told(name: str) -> str:
            return (headers.get(name) or b"").decode(errors="replace")

        origin = _origin(headers.get(ORIGIN))
        place = Partition(origin["topic"], origin["partition"]) if origin else None
        return cls(
            record,
            cause=told(CAUSE),
            feature=told(FEATURE),
            message=told(MESSAGE),
            disposition=told(DISPOSITION),
            attempts=attempts(record.headers),
            origin=place,
            origin_ms=origin.get("timestamp_ms", -1),
            origin_offset=origin.get("offset", -1),
            digest=told(DIGEST),
            redacted=told(REDACTED),
        )

    @property
    def place(self) -> str:
        """Where it lies, as ``show`` takes it."""
        return f"{self.record.partition.number}:{self.record.offset}"

    @property
    def obstacle(self) -> str | None:
        """Why it cannot be sent again, or None where it can."""
        if self.digest:
            return IS_DIGEST
        if self.redacted:
            return IS_REDACTED
        return None if self.origin else NO_ORIGIN

    def request(self, topic: str, partitions: int) -> Outgoing:
        """Return the request to send again: key, value and headers as they were, and how often it was a letter.

        Args:
            topic: where to.
            partitions: how many it has.
        """
        assert self.origin is not None
        place = Partition(topic, self.origin.number % partitions)
        return Outgoing(place, self.record.key, self.record.value, original_headers(self.record.headers))


def original_headers(headers: Headers) -> Headers:
    """Return a request's own headers and, of ours, the attempts: the next letter counts on from there."""
    return tuple(header for header in headers if header[0] == ATTEMPTS or not header[0].startswith(PREFIX))


def _origin(text: bytes | None) -> dict[str, Any]:
    """Return topic, partition, offset and time; nothing where they are not there."""
    try:
        found = orjson.loads(text or b"")
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(found, dict) or not isinstance(found.get("topic"), str) or not found["topic"]:
        return {}
    numbers = [found.get(name) for name in ("partition", "offset", "timestamp_ms")]
    return found if all(type(number) is int for number in numbers) and numbers[0] >= 0 else {}  # type: ignore[operator]
