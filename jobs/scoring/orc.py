"""ORC input: a file is not cut, since only its reader knows how many rows a stripe has; decoded a stripe at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from pyarrow import orc

from engine.storage import Storage
from jobs.scoring.chunk import CHUNK_ROWS, Chunk
from jobs.scoring.columnar import Batches, checked_schema, column_chunks, decoding
from jobs.scoring.format import FormatOptions, Piece, Shape, Wanted


class OrcFormat:
    """Reads ORC files."""

    name = "orc"

    def __init__(self, options: FormatOptions) -> None:
        """Take the options, none of which is for this format."""

    def shape(self, storage: Storage, path: str, piece_bytes: int) -> Shape:  # noqa: ARG002 - a file is one piece
        """Read a file's footer."""
        with decoding(storage, path), storage.open_input(path) as source:
            file = orc.ORCFile(source)
            piece = Piece(start=0, stop=file.nstripes, size_bytes=file.content_length, rows=file.nrows)
            return Shape(
                schema=checked_schema(file.schema, f"{storage.url}/{path}"), pieces=(piece,) if file.nrows else ()
            )

    def read(self, storage: Storage, path: str, start: int, stop: int, wanted: Wanted) -> Iterator[Chunk]:
        """Read stripes ``start`` to ``stop - 1``; ``start`` is 0."""
        with decoding(storage, path), storage.open_input(path) as source:
            file = orc.ORCFile(source)
            # With no column at all, pyarrow reads no row either.
            names = [name for name in wanted.columns if name in file.schema.names] or file.schema.names[:1]
            guard = partial(decoding, storage, path)
            first = 0
            for number in range(start, stop):
                stripe = file.read_stripe(number, columns=names)
                batches = (stripe.slice(begin, CHUNK_ROWS) for begin in range(0, stripe.num_rows, CHUNK_ROWS))
                yield from column_chunks(batches, first, _whole(file, number), wanted, guard)
                first += stripe.num_rows


def _whole(file: orc.ORCFile, number: int) -> Callable[[], Batches]:
    return lambda: iter([file.read_stripe(number)])
