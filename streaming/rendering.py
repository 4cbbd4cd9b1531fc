"""Predictions as the values of records."""

from __future__ import annotations

import orjson

from engine.answer import Answers, Source
from engine.errors import InvalidInput
from engine.predictor import Predictor
from engine.wire.arrow_stream import render_arrow
from engine.wire.output_json import OutputJson, to_json
from streaming.record import Record


class Rendering:
    """Renders the answers of one release of one model."""

    def __init__(self, model: str, predictor: Predictor) -> None:
        """Prepare all that does not depend on the row."""
        self._schema, self._release = predictor.schema, predictor.release.number
        self._outputs = OutputJson(predictor.schema)
        identity = to_json({"model": model, "release": self._release})[:-1]
        self._heads = {
            source.value: identity + b',"source":"%b","outputs":' % source.text.encode() for source in Source
        }
        self._sources = {source.value: b'{"source":"%b","outputs":' % source.text.encode() for source in Source}
        self._many = identity + b',"predictions":['

    def single(self, records: list[Record], answers: Answers, places: list[int]) -> list[bytes]:
        """Return the values for requests of one row each, which have an answer.

        Args:
            records: the requests.
            answers: to all rows.
            places: which of them is each request's.
        """
        rows = self._outputs.rows(answers.values[places] if len(places) < len(answers.source) else answers.values)
        sources = answers.source.tolist()
        tails = {record.partition: _tail(record) for record in {r.partition: r for r in records}.values()}
        heads = self._heads
        return [
            b"%b%b%b%d}}" % (heads[sources[place]], outputs, tails[record.partition], record.offset)
            for record, outputs, place in zip(records, rows, places, strict=True)
        ]

    def many(self, record: Record, answers: Answers) -> bytes:
        """Return the value for a request of several rows; a row at fault has its fault instead of outputs."""
        rows = self._outputs.rows(answers.values)  # those at fault are NaN, and not looked at
        told = [
            _fault(answers.faults[place]) if place in answers.faults else self._sources[source] + outputs + b"}"
            for place, (source, outputs) in enumerate(zip(answers.source.tolist(), rows, strict=True))
        ]
        return b"%b%b]%b%d}}" % (self._many, b",".join(told), _tail(record), record.offset)

    def arrow(self, answers: Answers) -> bytes:
        """Return the value for a request in Arrow: outputs, ``source``, ``release``, ``fault`` where a row has one."""
        return render_arrow(answers, self._schema, self._release)


def _fault(error: InvalidInput) -> bytes:
    return orjson.dumps({"fault": {"cause": error.cause, "feature": error.feature, "message": str(error)}})


def _tail(record: Record) -> bytes:
    """Return what stands between the outputs and the offset of requests of one partition."""
    topic, partition = record.partition
    return b',"request":{"topic":%b,"partition":%d,"offset":' % (orjson.dumps(topic), partition)
