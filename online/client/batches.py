"""Inputs of many forms, cut into batches that one request carries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from engine.errors import InvalidInput

Row = Mapping[str, Any]
Batch: TypeAlias = "pa.Table | list[Row]"
# A table or a stream of Arrow, a pandas or polars DataFrame, columns by name, or rows; or an iterable of these.
Data: TypeAlias = Any


class Cutter:
    """Cuts what it is given into batches; never holds more than one batch of it back."""

    def __init__(self, batch_rows: int) -> None:
        """Begin with nothing."""
        self._batch_rows = batch_rows
        self._rows: list[Row] = []

    def take(self, item: object) -> Iterator[Batch]:
        """Yield the batches that a row or a whole batch makes full. A batch is never joined with what is beside it."""
        if isinstance(item, Mapping):
            self._rows.append(item)
            if len(self._rows) == self._batch_rows:
                yield from self.rest()
        else:
            yield from self.rest()
            yield from cut(item, self._batch_rows)

    def rest(self) -> Iterator[Batch]:
        """Yield what is held back."""
        if self._rows:
            rows, self._rows = self._rows, []
            yield rows


def cut(data: Data, batch_rows: int) -> Iterator[Batch]:
    """Yield batches of ``batch_rows`` rows or fewer, in order, reading the input only as far as they are asked for.

    Raises:
        InvalidInput: it is of no form that is known.
    """
    if hasattr(data, "__arrow_c_stream__"):
        yield from _cut_stream(pa.RecordBatchReader.from_stream(data), batch_rows)
    elif isinstance(data, pa.RecordBatch):
        yield from _cut_stream([data], batch_rows)
    elif isinstance(data, Mapping):
        yield from cut(_joined(data), batch_rows)
    elif isinstance(data, Iterable) and not isinstance(data, str | bytes):
        cutter = Cutter(batch_rows)
        for item in data:
            yield from cutter.take(item)
        yield from cutter.rest()
    else:
        message = f"rows must be mappings of feature to value, columns or a table; got {type(data).__name__}"
        raise InvalidInput(message, cause="bad_body")


def count_rows(data: Data) -> int | None:
    """Return how many rows an input has, or None where only reading it would tell."""
    if isinstance(data, Mapping):
        return next((len(column) for column in data.values() if hasattr(column, "__len__")), None)
    if isinstance(data, list | tuple) and any(not isinstance(item, Mapping) for item in data[:1]):
        return None
    return len(data) if hasattr(data, "__len__") else None


def _cut_stream(stream: Iterable[pa.RecordBatch], batch_rows: int) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    rows = 0
    for chunk in stream:
        rest = chunk
        while rest.num_rows:
            piece = rest.slice(0, batch_rows - rows)
            rest = rest.slice(piece.num_rows)
            held.append(piece)
            rows += piece.num_rows
            if rows == batch_rows:
                yield pa.Table.from_batches(held)
                held, rows = [], 0
    if held:
        yield pa.Table.from_batches(held)


def _joined(columns: Mapping[str, Any]) -> Batch:
    """Return columns as a table, or as rows where a column mixes types."""
    lengths = {}
    for name, column in columns.items():
        if isinstance(column, str | bytes) or not hasattr(column, "__len__"):
            message = (
                f"column {name!r} must be a list or an array; got {type(column).__name__}. For one row: predict_row"
            )
            raise InvalidInput(message, cause="bad_body", feature=name)
        lengths[name] = len(column)
    if len(set(lengths.values())) > 1:
        message = f"columns must be of one length; got {lengths}"
        raise InvalidInput(message, cause="bad_body")
    try:
        return pa.table({name: _arrow(column) for name, column in columns.items()})
    except (pa.ArrowException, TypeError, ValueError):
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _arrow(column: Any) -> pa.Array:
    # Arrow takes arrays of one dimension alone, and lists of any depth.
    return pa.array(column.tolist() if isinstance(column, np.ndarray) and column.ndim > 1 else column)
