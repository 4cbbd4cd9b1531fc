"""The forms of a body. Each is one small class that writes a batch and reads its answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from engine.errors import BadSettings, InvalidInput
from engine.wire.media_types import ARROW_STREAM
from online.client.batches import Batch
from online.client.float_text import to_float32
from online.client.predictions import Predictions

# The name of the only output, in a JSON body that does not say it.
NAMELESS = ""
_NONE, _MIXED = "none", "mixed"
# Of a release's number, which is an int32.
_MOST_DIGITS = 9


class Body(Protocol):
    """A form of bodies: pure functions, called on several threads."""

    @property
    def content_type(self) -> str:
        """The value of ``Content-Type``."""
        ...

    def encode(self, batch: Batch) -> bytes:
        """Return the body that asks for a batch.

        Raises:
            InvalidInput: a value has no place in this form.
        """
        ...

    def decode(self, content: bytes, headers: Mapping[str, str]) -> Predictions:
        """Return the answers of a 200."""
        ...


class JsonBody:
    """TensorFlow Serving's rows. A row at fault has no place in the answer: the server refuses the whole body."""

    content_type = "application/json"

    def encode(self, batch: Batch) -> bytes:
        """Return ``instances``."""
        rows = batch if isinstance(batch, list) else batch.to_pylist()
        try:
            return orjson.dumps({"instances": rows}, option=orjson.OPT_SERIALIZE_NUMPY)
        except (TypeError, ValueError) as error:
            message = f"every value must have a JSON form: {error}. Give a table or columns, which go as Arrow"
            raise InvalidInput(message, cause="wrong_type") from error

    def decode(self, content: bytes, headers: Mapping[str, str]) -> Predictions:
        """Read ``predictions``; the values of a single output are ``NAMELESS``."""
        rows = orjson.loads(content)["predictions"]
        if isinstance(rows[0], dict):
            values = {name: to_float32([row[name] for row in rows]) for name in rows[0]}
        else:
            values = {NAMELESS: to_float32(rows)}
        counts = _counts(headers.get("Foretable-Source", ""), len(rows))
        source = next(iter(counts)) if len(counts) == 1 else _MIXED
        return Predictions(values, np.full(len(rows), source), _releases(headers, len(rows)), counts)


class ArrowBody:
    """An Arrow stream. Every row of the answer has its source, and its fault where it has no answer."""

    content_type = ARROW_STREAM

    def encode(self, batch: Batch) -> bytes:
        """Return a stream with an end mark, uncompressed: the server takes no other."""
        try:
            table = pa.Table.from_pylist(batch) if isinstance(batch, list) else batch
        except (pa.ArrowException, TypeError, ValueError) as error:
            message = f"every column must be of one Arrow type: {error}. Give body='json'"
            raise InvalidInput(message, cause="wrong_type") from error
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        content: bytes = sink.getvalue().to_pybytes()
        return content

    def decode(self, content: bytes, headers: Mapping[str, str]) -> Predictions:
        """Read a column an output, then ``source``, ``release`` and ``fault``, which an output may be called too."""
        table = pa.ipc.open_stream(pa.py_buffer(content)).read_all().combine_chunks()
        *outputs, source, _, fault = (column.combine_chunks() for column in table.columns)
        names = table.schema.names[: len(outputs)]
        sources = np.array(source.cast(pa.string()).fill_null(_NONE).to_pylist(), np.str_)
        words, rows = np.unique(sources[sources != _NONE], return_counts=True)
        return Predictions(
            {name: _numbers(column) for name, column in zip(names, outputs, strict=True)},
            sources,
            _releases(headers, table.num_rows),
            dict(zip(words.tolist(), rows.tolist(), strict=True)),
            _faults(fault),
        )


BODIES: dict[str, Body] = {"json": JsonBody(), "arrow": ArrowBody()}


def _numbers(column: pa.Array) -> npt.NDArray[np.float32]:
    if not pa.types.is_fixed_size_list(column.type):
        return np.asarray(column.fill_null(np.nan).to_numpy(zero_copy_only=False), np.float32)
    width = column.type.list_size
    # `values` and not `flatten`, which leaves out the places of rows without an answer.
    flat = column.values.slice(column.offset * width, len(column) * width)
    values = np.array(flat.fill_null(np.nan).to_numpy(zero_copy_only=False), np.float32).reshape(-1, width)
    values[column.is_null().to_numpy(zero_copy_only=False)] = np.nan
    return values


def _faults(column: pa.Array) -> dict[int, InvalidInput]:
    if column.null_count == len(column):
        return {}
    return {
        row: InvalidInput(told["message"], cause=told["cause"], feature=told["feature"])
        for row, told in enumerate(column.to_pylist())
        if told is not None
    }


def _releases(headers: Mapping[str, str], rows: int) -> npt.NDArray[np.int32]:
    return np.full(rows, release_of(headers), np.int32)


def release_of(headers: Mapping[str, str]) -> int:
    """Return the release that answered a body.

    Raises:
        BadSettings: the answer does not say: it is not from a Foretable server.
    """
    text = headers.get("Foretable-Release", "")
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        message = f"url must be that of a Foretable server, whose answers carry Foretable-Release; got {text[:40]!r}"
        raise BadSettings(message)
    return int(text)


def _counts(text: str, rows: int) -> dict[str, int]:
    """Read the header ``Foretable-Source``: one word, or ``table=3, model=1``."""
    pairs = [part.strip().partition("=") for part in text.split(",")]
    return {word: int(count) if count else rows for word, _, count in pairs if word}
