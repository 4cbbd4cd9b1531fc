"""A batch of requests, answered: one call of the predictor for all rows, a record to send for each request."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from engine.answer import Answers, Source
from engine.errors import InvalidInput
from engine.holder import Loaded
from engine.predictor import Predictor
from streaming.decoding import Asked, Decoded, decode
from streaming.outcome import DEADLINE, Refused
from streaming.record import UNREADABLE, Record
from streaming.rendering import Rendering

# In milliseconds of Unix time: an instant, which holds over every hop.
DEADLINE_HEADER = "foretable-deadline"
_MOST_DIGITS = 15


@dataclass(frozen=True, kw_only=True)
class Streamed(Loaded):
    """A release that answers a stream.

    Attributes:
        rendering: of its answers.
    """

    rendering: Rendering


@dataclass(frozen=True)
class Answered:
    """What came of a batch.

    Attributes:
        predictions: the value by request's place in the batch; None for a refused one.
        refused: why others have no answer, by place.
        rows: how many rows there were.
        sources: of them, by source.
    """

    predictions: list[bytes | None]
    refused: dict[int, Refused]
    rows: int
    sources: dict[Source, int]


def answer(records: Sequence[Record], release: Streamed, *, max_rows: int, late: str) -> Answered:
    """Answer requests. Raises nothing for a bad one.

    Args:
        records: the requests.
        release: all of them are answered by it.
        max_rows: most rows in one.
        late: ``default`` or ``dead-letter``, for those whose deadline has passed.

    Raises:
        Unavailable: the model could not be asked; trying again may help.
        EngineBug: the model, or we, failed.
    """
    predictor = release.predictor
    refused = _overdue(records, predictor, late)
    overdue = {place for place, found in refused.items() if found is None}
    left = [record for place, record in enumerate(records) if place not in refused or place in overdue]
    places = [place for place in range(len(records)) if place not in refused or place in overdue]
    decoded = decode(left, predictor.space, max_rows=max_rows)
    faults = {place: found for place, found in refused.items() if found is not None}
    return _Batch(left, places, decoded, release, overdue).answered(len(records), faults)


def _overdue(records: Sequence[Record], predictor: Predictor, late: str) -> dict[int, Refused | None]:
    """Return what cannot be asked in time: why it is refused, or None where its defaults answer."""
    found: dict[int, Refused | None] = {}
    now_ms = time.time() * 1000
    for place, record in enumerate(records):
        if record.headers is UNREADABLE:
            found[place] = Refused.by(InvalidInput("headers must have names in UTF-8; got others", cause="bad_headers"))
            continue
        for name, value in record.headers:
            if name != DEADLINE_HEADER:
                continue
            text = (value or b"").decode("latin-1")
            if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
                message = f"header {DEADLINE_HEADER} must be Unix time in milliseconds; got {text[:40]!r}"
                found[place] = Refused.by(InvalidInput(message, cause="bad_deadline"))
            elif int(text) < now_ms:
                if late == "default" and predictor.default is not None:
                    found[place] = None
                else:
                    message = f"the deadline passed {now_ms - int(text):.0f} ms before the model could be asked"
                    found[place] = Refused(InvalidInput(message, cause="deadline"), DEADLINE)
    return found


class _Batch:
    """The requests of one batch that can be read, and their answers."""

    def __init__(
        self, records: list[Record], places: list[int], decoded: Decoded, release: Streamed, overdue: set[int]
    ) -> None:
        self._records, self._places, self._decoded, self._release = records, places, decoded, release
        self._overdue = overdue
        predictor = release.predictor
        self._json = predictor.predict_rows(decoded.rows) if decoded.rows else None
        self._tables = [predictor.predict(table) for table in decoded.tables]

    def answered(self, size: int, refused: dict[int, Refused]) -> Answered:
        predictions: list[bytes | None] = [None] * size
        singles: list[int] = []
        for at, asked in enumerate(self._decoded.asked):
            place = self._places[at]
            if isinstance(asked, InvalidInput):
                refused[place] = Refused.by(asked)
            elif asked.single and place not in self._overdue:
                assert self._json is not None
                fault = self._json.faults.get(asked.first) if self._json.faults else None
                if fault is None:
                    singles.append(at)
                else:
                    refused[place] = Refused.by(fault)
            else:
                predictions[place] = self._rendered(at, asked, late=place in self._overdue)
        if singles:
            assert self._json is not None
            firsts = [self._decoded.asked[at].first for at in singles]  # type: ignore[union-attr]
            values = self._release.rendering.single([self._records[at] for at in singles], self._json, firsts)
            for at, value in zip(singles, values, strict=True):
                predictions[self._places[at]] = value
        answers = [*([self._json] if self._json else []), *self._tables]
        sources: dict[Source, int] = {}
        for each in answers:
            for source, count in each.rows_by_source().items():
                sources[source] = sources.get(source, 0) + count
        return Answered(predictions, refused, sum(len(each.source) for each in answers), sources)

    def _rendered(self, at: int, asked: Asked, *, late: bool) -> bytes:
        record, rendering = self._records[at], self._release.rendering
        answers = self._release.predictor.defaults(asked.rows) if late else self._answers(asked)
        if asked.table is not None:
            return rendering.arrow(answers)
        return rendering.single([record], answers, [0])[0] if asked.single else rendering.many(record, answers)

    def _answers(self, asked: Asked) -> Answers:
        if asked.table is not None:
            return self._tables[asked.table]
        assert self._json is not None
        stop = asked.first + asked.rows
        faults = {row - asked.first: self._json.faults[row] for row in self._json.faults if asked.first <= row < stop}
        return Answers(self._json.values[asked.first : stop], self._json.source[asked.first : stop], faults)
