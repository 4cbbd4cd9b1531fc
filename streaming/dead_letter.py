"""Dead letters: the request as it came, and in headers why it has no answer."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import orjson

from streaming.origin import origin_json
from streaming.outcome import Refused
from streaming.record import UNREADABLE, Headers, Outgoing, Partition, Record

PREFIX = "foretable-"
CAUSE, FEATURE, MESSAGE = f"{PREFIX}cause", f"{PREFIX}feature", f"{PREFIX}message"
DISPOSITION, ATTEMPTS, ORIGIN = f"{PREFIX}disposition", f"{PREFIX}attempts", f"{PREFIX}origin"
# What stands for a value that was too large, or not to be shown; such a letter cannot be sent again.
DIGEST = f"{PREFIX}digest"
# Of which features: their values, the key and the message are not the request's own.
REDACTED = f"{PREFIX}redacted"
_LONGEST_MESSAGE = 1000
_HIDDEN = "***"


class DeadLetters:
    """Makes the dead letters of one stream."""

    def __init__(self, topic: str, partitions: int, *, redact: Sequence[str] = ()) -> None:
        """Send to a topic of so many partitions; do not show the values of these features."""
        self._topic, self._partitions, self._redact = topic, partitions, frozenset(redact)

    def of(self, record: Record, refused: Refused, *, whole: bool = True) -> Outgoing:
        """Return the letter for a request.

        Args:
            record: the request.
            refused: why it has no answer.
            whole: False where its value is too large for the topic: its digest stands for it.
        """
        error = refused.error
        known = () if record.headers is UNREADABLE else record.headers
        value, headers = record.value, [header for header in known if not header[0].startswith(PREFIX)]
        if value is not None and self._redact:
            shown = _redacted(value, self._redact)
            whole, value = whole and shown is not None, shown
        if not whole and record.value is not None:
            value = None
            headers.append((DIGEST, f"sha256:{hashlib.sha256(record.value).hexdigest()}".encode()))
        headers += [
            (CAUSE, error.cause.encode()),
            (MESSAGE, self._message(str(error))),
            (DISPOSITION, refused.disposition.encode()),
            (ATTEMPTS, str(attempts(record.headers) + 1).encode()),
            (ORIGIN, origin_json(record)),
        ]
        if self._redact:
            headers.append((REDACTED, ",".join(sorted(self._redact)).encode()))
        if error.feature:
            headers.append((FEATURE, error.feature.encode()))
        partition = Partition(self._topic, record.partition.number % self._partitions)
        return Outgoing(partition, record.key if not self._redact else None, value, tuple(headers))

    def _message(self, text: str) -> bytes:
        """Return what is wrong; where values must not be shown, messages that would tell them are left out."""
        return text[:_LONGEST_MESSAGE].encode() if not self._redact else b"redacted"


def attempts(headers: Headers) -> int:
    """Return how often a request has been a dead letter already."""
    text = dict(headers).get(ATTEMPTS) or b"0"
    return int(text) if text.isdigit() and len(text) <= 4 else 0


def _redacted(value: bytes, names: frozenset[str]) -> bytes | None:
    """Return a JSON value without what features hold; None where it cannot be read, and so not be told apart."""
    try:
        document: Any = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    rows = document if isinstance(document, list) else [document]
    if not all(isinstance(row, dict) for row in rows):
        return None
    for row in rows:
        row.update(dict.fromkeys(names & row.keys(), _HIDDEN))
    return orjson.dumps(document)
