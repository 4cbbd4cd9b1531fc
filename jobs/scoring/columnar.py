"""What the columnar formats share: chunks of a stripe or row group, and errors of their decoders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from engine.errors import BadArtifact, Unavailable
from engine.storage import Storage
from jobs.scoring.chunk import Chunk, Content, Position, with_partition
from jobs.scoring.format import Wanted

Batches = Iterator[pa.RecordBatch]


def column_chunks(batches: Batches, first: int, whole: Callable[[], Batches], wanted: Wanted) -> Iterator[Chunk]:
    """Return the chunks of a stripe or row group.

    Args:
        batches: its rows, the wanted columns only.
        first: number of its first row in the file.
        whole: opens the same rows with all columns; called only when some row's content is asked for.
        wanted: what is read.
    """
    rows = _WholeRows(whole)
    begun = 0
    for batch in batches:
        yield _chunk(batch, first, begun, rows, wanted)
        begun += batch.num_rows


def _chunk(batch: pa.RecordBatch, first: int, begun: int, rows: _WholeRows, wanted: Wanted) -> Chunk:
    return Chunk(
        values=with_partition(batch, wanted.partition),
        content=lambda row: Content(None, {**wanted.partition, **rows.row(begun + row)}),
        position=lambda row: Position(first + begun + row, None),
    )


class _WholeRows:
    """All columns of some rows, in ascending order, decoded no further than they are asked for."""

    def __init__(self, whole: Callable[[], Batches]) -> None:
        self._open = whole
        self._batches: Batches | None = None
        self._batch: pa.RecordBatch | None = None
        self._begun = self._end = 0

    def row(self, row: int) -> Mapping[str, Any]:
        """Return all of a row, by its number in the row group."""
        if self._batches is None:
            self._batches = self._open()
        while row >= self._end:
            self._batch = next(self._batches)
            self._begun, self._end = self._end, self._end + self._batch.num_rows
        assert self._batch is not None
        (fields,) = self._batch.slice(row - self._begun, 1).to_pylist()
        return dict(fields)


@contextmanager
def decoding(storage: Storage, path: str) -> Iterator[None]:
    """Tell damage of a file from a storage that fails while it is read."""
    where = f"{storage.url}/{path}"
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        # Arrow's decoders say OSError of damage too, without a number; an OSError of the system has one.
        if isinstance(error, OSError) and error.errno:
            message = f"{where}: {error.strerror or error}. Try again"
            raise Unavailable(message) from error
        message = f"{where}: must be an undamaged file of its format; got: {error}. Write it again, or move it away"
        raise BadArtifact(message) from error
