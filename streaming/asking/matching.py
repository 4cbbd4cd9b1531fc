"""Requests under way, and which answer is whose."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson
import pyarrow as pa

from engine.errors import InvalidInput
from engine.wire.arrow_stream import parse_arrow
from streaming.letters.letter import Letter
from streaming.letters.listing import letter_json
from streaming.record import Record

CORRELATION = "correlation-id"
_ARROW = b"\xff\xff\xff\xff"
_MOST_ROWS = 1 << 30
_MISSING = b'{"missing":true}'


@dataclass
class Counts:
    """What became of requests.

    Attributes:
        sent: requests.
        answered: of them.
        dead: of them, those that became dead letters.
        repeated: answers to what was answered already, as a stream that delivers at least once gives.
        latencies_s: of the answered ones, from sending to reading.
    """

    sent: int = 0
    answered: int = 0
    dead: int = 0
    repeated: int = 0
    latencies_s: list[float] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """Those that nothing has come of."""
        return self.sent - self.answered - self.dead


class Matching:
    """Finds the request of each answer, by an id that no other run has.

    Attributes:
        counts: so far.
    """

    def __init__(self) -> None:
        """Begin with no requests."""
        self.counts = Counts()
        self._run = secrets.token_hex(8)
        self._sent_s: dict[bytes, float] = {}  # of those under way
        self._lines: dict[int, bytes] = {}  # of those whose turn has not come yet
        self._next = 0

    def begin(self, now_s: float) -> bytes:
        """Return the id of the next request, which is sent now."""
        name = f"{self._run}-{self.counts.sent}".encode()
        self._sent_s[name] = now_s
        self.counts.sent += 1
        return name

    def answer(self, record: Record, now_s: float) -> bool:
        """Take a prediction; return whether a request was waiting for it."""
        found = self._end(record, now_s)
        if found is None:
            return False
        place, latency_s = found
        self.counts.answered += 1
        self.counts.latencies_s.append(latency_s)
        self._lines[place] = answer_line(record)
        return True

    def bury(self, record: Record, now_s: float) -> bool:
        """Take a dead letter; return whether a request was waiting."""
        found = self._end(record, now_s)
        if found is None:
            return False
        self.counts.dead += 1
        self._lines[found[0]] = orjson.dumps({"dead_letter": letter_json(Letter.of(record))})
        return True

    @property
    def waiting(self) -> int:
        """How many requests nothing has come of yet."""
        return len(self._sent_s)

    def lines(self, *, final: bool = False) -> Iterator[bytes]:
        """Yield a line of JSON a request, in their order: those whose turn has come; at the end all that are left."""
        while self._next in self._lines or (final and self._next < self.counts.sent):
            yield self._lines.pop(self._next, _MISSING)
            self._next += 1

    def _end(self, record: Record, now_s: float) -> tuple[int, float] | None:
        """Return the place of a request and how long it took; None where none is waiting."""
        name = next((value for header, value in record.headers if header == CORRELATION), None) or b""
        run, _, place = name.partition(b"-")
        if run != self._run.encode():
            return None  # another's
        sent_s = self._sent_s.pop(name, None)
        if sent_s is None:
            self.counts.repeated += 1
            return None
        return int(place), now_s - sent_s


def answer_line(record: Record) -> bytes:
    """Return a prediction as one line of JSON: as it is, or a list of rows where it is an Arrow stream."""
    value = record.value or b"null"
    if value.startswith(_ARROW):
        try:
            return orjson.dumps({"predictions": parse_arrow(value, max_rows=_MOST_ROWS).to_pylist()})
        except (InvalidInput, pa.ArrowException, TypeError) as error:
            return orjson.dumps({"unreadable": str(error)})
    if b"\n" not in value:
        return value
    return orjson.dumps(orjson.loads(value))
