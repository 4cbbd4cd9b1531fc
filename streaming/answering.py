"""A batch of requests, answered: one call of the predictor for all rows, a record to send for each request."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass
from itertools import chain

import pyarrow as pa

from engine.answer import Answers, Source
from engine.predictor import Predictor
from streaming.deadline import unasked
from streaming.decoding import Decoded, Row, decode
from streaming.outcome import DEADLINE, Refused
from streaming.record import Record
from streaming.rendering import Rendering
from streaming.streamed import Streamed


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What came of a batch.

    Attributes:
        predictions: the value by request's place in the batch; None for a refused one.
        refused: why others have no answer, by place.
        streams: the places of those that are answered in Arrow.
        rows: how many rows there were.
        sources: of them, by source.
        took_s: seconds that answering took.
    """

    predictions: list[bytes | None]
    refused: dict[int, Refused]
    streams: frozenset[int] = frozenset()
    rows: int = 0
    sources: dict[Source, int]
    took_s: float = 0.0


def answer(records: Sequence[Record], release: Streamed, *, max_rows: int, late: str) -> Answered:
    """Answer requests. Raises nothing for a bad one.

    Requests that are one JSON row each, with no deadline and no fault, are most by far: where all are, nothing is
    called for one of them alone.

    Args:
        records: the requests.
        release: all of them are answered by it.
        max_rows: most rows in one.
        late: ``default`` or ``dead-letter``, for those whose deadline has passed.

    Raises:
        Unavailable: the model could not be asked; trying again may help.
        EngineBug: the model, or we, failed.
    """
    started, predictor, batch = time.perf_counter(), release.predictor, _Batch(records, release.rendering)
    unasked_ones = unasked(records)
    places = (
        [place for place in range(len(records)) if place not in unasked_ones] if unasked_ones else range(len(records))
    )
    asked = decode(records, places, predictor.space, max_rows=max_rows)
    batch.answer(asked, predictor.predict_rows, predictor.predict)
    if unasked_ones:
        batch.stand_in(unasked_ones, predictor, max_rows=max_rows, late=late)
    return batch.answered(started)


class _Batch:
    """The requests of one batch, and what has come of them so far."""

    def __init__(self, records: Sequence[Record], rendering: Rendering) -> None:
        self._records, self._rendering = records, rendering
        self._predictions: list[bytes | None] = [None] * len(records)
        self._streams: set[int] = set()
        self._answers: list[Answers] = []
        self._refused: dict[int, Refused] = {}

    def answer(
        self,
        decoded: Decoded,
        rows_by: Callable[[list[Row]], Answers],
        table_by: Callable[[pa.Table], Answers],
    ) -> None:
        """Answer what was read; all JSON rows by one call, each Arrow stream by one."""
        self._refused.update({place: Refused.by(error) for place, error in decoded.faults.items()})
        singles = len(decoded.rows)
        rows = [*decoded.rows, *chain.from_iterable(decoded.lists.values())] if decoded.lists else decoded.rows
        if rows:
            answers = rows_by(rows)
            self._answers.append(answers)
            if singles:
                self._render_singles(decoded.places, answers.part(0, singles) if decoded.lists else answers)
            start = singles
            for place, own in decoded.lists.items():
                part = answers.part(start, start + len(own))
                self._predictions[place] = self._rendering.many(self._records[place], part)
                start += len(own)
        for place, table in decoded.tables.items():
            answers = table_by(table)
            self._answers.append(answers)
            self._predictions[place] = self._rendering.arrow(answers)
            self._streams.add(place)

    def stand_in(self, unasked_ones: dict[int, Refused], predictor: Predictor, *, max_rows: int, late: str) -> None:
        """Refuse what cannot be asked in time, or let the outputs' defaults stand in, which cost the model nothing."""

        def defaults(rows: Sized) -> Answers:
            return predictor.defaults(len(rows))

        if late == "default" and predictor.default is not None:
            passed = [place for place, why in unasked_ones.items() if why.disposition == DEADLINE]
            unasked_ones = {place: why for place, why in unasked_ones.items() if why.disposition != DEADLINE}
            decoded = decode(self._records, passed, predictor.space, max_rows=max_rows)
            self.answer(decoded, defaults, defaults)
        self._refused.update(unasked_ones)

    def _render_singles(self, places: Sequence[int], answers: Answers) -> None:
        if answers.faults:
            self._refused.update({places[row]: Refused.by(error) for row, error in answers.faults.items()})
            good = [row for row in range(len(places)) if row not in answers.faults]
            places, answers = [places[row] for row in good], answers.take(good)
        if len(places) == len(self._records):
            self._predictions = [*self._rendering.single(self._records, answers)]
        elif places:
            values = self._rendering.single([self._records[place] for place in places], answers)
            for place, value in zip(places, values, strict=True):
                self._predictions[place] = value

    def answered(self, started: float) -> Answered:
        """Return what came of all since ``started`` on the clock of ``time.perf_counter``."""
        sources: dict[Source, int] = {}
        for answers in self._answers:
            for source, rows in answers.rows_by_source().items():
                sources[source] = sources.get(source, 0) + rows
        return Answered(
            predictions=self._predictions,
            refused=self._refused,
            streams=frozenset(self._streams),
            rows=sum(map(len, self._answers)),
            sources=sources,
            took_s=time.perf_counter() - started,
        )
