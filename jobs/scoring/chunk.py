"""A chunk: some consecutive rows of an input file, as raw values, with what a quarantine needs to know of each."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from engine.encoded import Encoded
from engine.errors import InvalidInput
from engine.space import FeatureSpace

# Rows that are encoded and inferred at once: enough that Python's share is small, and fewer than the rows from which
# engine.space starts threads of its own, since each core already has a worker.
CHUNK_ROWS = 1 << 15


class Position(NamedTuple):
    """Where a row stands in its file: one of the two is None.

    Attributes:
        row: its number, from 0, where rows are counted.
        byte_offset: of its first byte, in a text file.
    """

    row: int | None
    byte_offset: int | None

    def __str__(self) -> str:
        """Return it as people read it."""
        return f"row {self.row}" if self.row is not None else f"byte {self.byte_offset}"


class Content(NamedTuple):
    """All of a row.

    Attributes:
        text: as it stands in a text file, or None.
        fields: by column, or None where the text could not be parsed.
    """

    text: bytes | None
    fields: Mapping[str, object] | None


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Consecutive rows of one file.

    Attributes:
        values: the columns that were asked for, or a dictionary a row where a column may mix types.
        content: returns all of a row, also what nobody asked for; called in ascending order of rows, and before
            the next chunk is read.
        position: returns where a row stands.
        malformed: row within the chunk -> why it could not be parsed. Such a row has nulls, or no values.
    """

    values: pa.RecordBatch | Sequence[Mapping[str, object]]
    content: Callable[[int], Content]
    position: Callable[[int], Position]
    malformed: Mapping[int, InvalidInput] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of rows, the malformed ones included."""
        return len(self.values)

    def encode(self, space: FeatureSpace) -> Encoded:
        """Encode the features; what else a row holds is not read."""
        if isinstance(self.values, pa.RecordBatch):
            encoded = space.encode(self.values)
        else:
            names = space.names
            encoded = space.encode_rows([{name: row[name] for name in names if name in row} for row in self.values])
        return Encoded(encoded.inputs, {**encoded.faults, **self.malformed}) if self.malformed else encoded

    def column(self, name: str) -> pa.Array | list[object] | None:
        """Return a column's raw values; None where the file has no such column."""
        if isinstance(self.values, pa.RecordBatch):
            place = self.values.schema.get_field_index(name)  # hashed, where a list of all names takes time for each
            return self.values.column(place) if place >= 0 else None
        return [row.get(name) for row in self.values]


def with_partition(batch: pa.RecordBatch, partition: Mapping[str, str | None]) -> pa.RecordBatch:
    """Return a batch with the columns of the file's path, which count where the file has them too, as in Spark."""
    for name, value in partition.items():
        texts = pa.nulls(len(batch), pa.string()) if value is None else pa.repeat(pa.scalar(value), len(batch))
        if name in batch.schema.names:
            batch = batch.set_column(batch.schema.names.index(name), name, texts)
        else:
            batch = batch.append_column(name, texts)
    return batch


def python_value(scalar: pa.Scalar) -> object:
    """Return an Arrow value as Python has it, on a host with pandas and without.

    Where Python has none (nanoseconds, a far time), its text; where a text is not UTF-8, its bytes.
    """
    kind = scalar.type
    if not (pa.types.is_temporal(kind) and getattr(kind, "unit", "") == "ns"):
        with suppress(ValueError, OverflowError):
            return scalar.as_py()
    if isinstance(scalar, pa.DictionaryScalar):
        scalar = scalar.value
    if isinstance(scalar, pa.BinaryScalar):
        return bytes(scalar.as_buffer())
    try:
        return pc.cast(scalar, pa.string()).as_py()
    except pa.ArrowException:
        return f"a {kind} that has no text"


def json_text(value: object) -> str:
    """Return a raw value as JSON: bytes as hex, and what JSON has no form for (a date, NaN) as a text."""
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if value is None or isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)
