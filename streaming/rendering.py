"""Predictions as the values of records."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from operator import attrgetter

import orjson

from engine.answer import Answers, Source
from engine.errors import InvalidInput
from engine.predictor import Predictor
from engine.wire.arrow_stream import render_arrow
from engine.wire.output_json import OutputJson, to_json
from streaming.record import Partition, Record

_partition, _offset = attrgetter("partition"), attrgetter("offset")


class Rendering:
    """Renders the answers of one release of one model."""

    def __init__(self, model: str, predictor: Predictor) -> None:
        """Prepare all that does not depend on the row."""
        self._schema, self._release = predictor.schema, predictor.release.number
        self._outputs = OutputJson(predictor.schema)
        identity = to_json({"model": model, "release": self._release})[:-1]
        self._sources = [b'{"source":"%b","outputs":' % source.text.encode() for source in Source]
        self._firsts = [b"%b,%b%b" % (identity, source[1:], self._outputs.first) for source in self._sources]
        self._tails = _Tails(self._outputs.last)
        self._many = identity + b',"predictions":['

    def single(self, records: Sequence[Record], answers: Answers) -> list[bytes]:
        """Return the values for requests of one row each; none of these is at fault.

        Args:
            records: the requests.
            answers: to their rows, in their order.
        """
        offsets = orjson.dumps(list(map(_offset, records)))[1:-1].split(b",")
        firsts = map(self._firsts.__getitem__, answers.source.tobytes())
        tails = map(self._tails.__getitem__, map(_partition, records))
        parts = self._outputs.parts(answers.values)
        return list(map(b"".join, zip(firsts, *parts, tails, offsets, repeat(b"}}"), strict=False)))

    def many(self, record: Record, answers: Answers) -> bytes:
        """Return the value for a request of several rows; a row at fault has its fault instead of outputs."""
        rows = self._outputs.rows(answers.values)  # those at fault are NaN, and not looked at
        told = [
            _fault(answers.faults[place]) if place in answers.faults else self._sources[source] + outputs + b"}"
            for place, (source, outputs) in enumerate(zip(answers.source.tolist(), rows, strict=True))
        ]
        return b"%b%b]%b%d}}" % (self._many, b",".join(told), _tail(record.partition), record.offset)

    def arrow(self, answers: Answers) -> bytes:
        """Return the value for a request in Arrow: outputs, ``source``, ``release``, ``fault`` where a row has one."""
        return render_arrow(answers, self._schema, self._release)


def _fault(error: InvalidInput) -> bytes:
    return orjson.dumps({"fault": {"cause": error.cause, "feature": error.feature, "message": str(error)}})


class _Tails(dict[Partition, bytes]):
    """What stands between the last number of a request's answer and its offset, by partition."""

    def __init__(self, outputs_end: bytes) -> None:
        super().__init__()
        self._outputs_end = outputs_end

    def __missing__(self, partition: Partition) -> bytes:
        tail = self[partition] = self._outputs_end + _tail(partition)
        return tail


def _tail(partition: Partition) -> bytes:
    """Return what stands between what is answered and the offset of requests of one partition."""
    return b',"request":{"topic":%b,"partition":%d,"offset":' % (orjson.dumps(partition.topic), partition.number)
