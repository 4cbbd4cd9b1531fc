"""What the columnar formats share: chunks of a stripe or row group, and errors of their decoders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import pyarrow as pa

from engine.errors import BadArtifact
from engine.storage import Storage, storage_error
from jobs.scoring.chunk import Chunk, Content, Position, python_value, with_partition
from jobs.scoring.format import Wanted

Batches = Iterator[pa.RecordBatch]
# What a decoder's errors become; see ``decoding``.
Guard = Callable[[], AbstractContextManager[None]]


def column_chunks(
    batches: Batches, first: int, whole: Callable[[], Batches], wanted: Wanted, guard: Guard
) -> Iterator[Chunk]:
    """Return the chunks of a stripe or row group.

    Args:
        batches: its rows, the wanted columns only.
        first: number of its first row in the file.
        whole: opens the same rows with all columns; called only when some row's content is asked for.
        wanted: what is read.
        guard: of what is read when a row's content is asked for.
    """
    rows = _WholeRows(whole, guard)
    begun = 0
    for batch in batches:
        yield _chunk(batch, first, begun, rows, wanted)
        begun += batch.num_rows


def _chunk(batch: pa.RecordBatch, first: int, begun: int, rows: _WholeRows, wanted: Wanted) -> Chunk:
    return Chunk(
        values=with_partition(batch, wanted.partition),
        content=lambda row: Content(None, {**rows.row(begun + row), **wanted.partition}),
        position=lambda row: Position(first + begun + row, None),
    )


class _WholeRows:
    """All columns of some rows, in ascending order, decoded no further than they are asked for."""

    def __init__(self, whole: Callable[[], Batches], guard: Guard) -> None:
        self._open, self._guard = whole, guard
        self._batches: Batches | None = None
        self._batch: pa.RecordBatch | None = None
        self._begun = self._end = 0

    def row(self, row: int) -> Mapping[str, object]:
        """Return all of a row, by its number in the row group."""
        if self._batches is None:
            self._batches = self._open()
        while row >= self._end:
            with self._guard():
                self._batch = next(self._batches)
            self._begun, self._end = self._end, self._end + self._batch.num_rows
        batch = self._batch
        assert batch is not None
        place = row - self._begun
        return {name: python_value(batch.column(at)[place]) for at, name in enumerate(batch.schema.names)}


def checked_schema(schema: pa.Schema, where: str) -> pa.Schema:
    """Return a file's schema.

    Raises:
        BadArtifact: two columns have one name.
    """
    twice = [name for name, times in Counter(schema.names).items() if times > 1]
    if twice:
        message = f"{where}: columns must have distinct names; got several of {', '.join(twice)}. Rename them"
        raise BadArtifact(message)
    return schema


@contextmanager
def decoding(storage: Storage, path: str) -> Iterator[None]:
    """Tell damage of a file from a storage that fails while it is read."""
    where = f"{storage.url}/{path}"
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        # Arrow's decoders say OSError of damage too, without a number; an OSError of the system has one.
        if isinstance(error, OSError) and error.errno:
            raise storage_error(error, where) from error
        message = f"{where}: must be an undamaged file of its format; got: {error}. Write it again, or move it away"
        raise BadArtifact(message) from error
