"""Parquet input: cut at row groups, decoded a chunk at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pyarrow.parquet as pq

from engine.storage import Storage
from jobs.scoring.chunk import CHUNK_ROWS, Chunk
from jobs.scoring.columnar import Batches, checked_schema, column_chunks, decoding
from jobs.scoring.format import FormatOptions, Piece, Shape, Wanted


class ParquetFormat:
    """Reads Parquet files."""

    name = "parquet"

    def __init__(self, options: FormatOptions) -> None:
        """Take the options, none of which is for this format."""

    def shape(self, storage: Storage, path: str, piece_bytes: int) -> Shape:  # noqa: ARG002 - row groups are given
        """Read a file's footer."""
        with decoding(storage, path), storage.open_input(path) as source:
            file = pq.ParquetFile(source)
            groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
            pieces = (
                Piece(start=number, stop=number + 1, size_bytes=group.total_byte_size, rows=group.num_rows)
                for number, group in enumerate(groups)
            )
            return Shape(schema=checked_schema(file.schema_arrow, f"{storage.url}/{path}"), pieces=tuple(pieces))

    def read(self, storage: Storage, path: str, start: int, stop: int, wanted: Wanted) -> Iterator[Chunk]:
        """Read row groups ``start`` to ``stop - 1``."""
        with decoding(storage, path), storage.open_input(path) as source:
            metadata = pq.read_metadata(source)
            texts = [name for name in _text_columns(metadata) if name in wanted.texts]
            file = pq.ParquetFile(source, metadata=metadata, read_dictionary=texts, page_checksum_verification=True)
            own = frozenset(file.schema_arrow.names)
            names = [name for name in wanted.columns if name in own]
            guard = partial(decoding, storage, path)
            first = sum(file.metadata.row_group(number).num_rows for number in range(start))
            for group in range(start, stop):
                batches = _batches(file, group, names)
                yield from column_chunks(batches, first, _whole(file, group), wanted, guard)
                first += file.metadata.row_group(group).num_rows


def _text_columns(metadata: pq.FileMetaData) -> list[str]:
    """Return the top-level columns that may be read as dictionaries; asked for another, pyarrow raises."""
    columns = [metadata.schema.column(number) for number in range(metadata.num_columns)]
    return [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]


def _whole(file: pq.ParquetFile, group: int) -> Callable[[], Batches]:
    return lambda: _batches(file, group, None)


def _batches(file: pq.ParquetFile, group: int, names: list[str] | None) -> Batches:
    batches: Batches = file.iter_batches(CHUNK_ROWS, row_groups=[group], columns=names, use_threads=False)
    return batches
