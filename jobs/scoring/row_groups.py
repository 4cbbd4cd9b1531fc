"""Row groups of a Parquet file: batches are gathered until a group is worth writing."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

# When a group is written, whichever comes first. Smaller, and a reader opens many groups for little, each with a
# dictionary of its own; larger, and a worker holds more scored rows before it writes them.
_GROUP_ROWS = 1 << 18
_GROUP_BYTES = 64 << 20


class RowGroups:
    """Writes batches as row groups. A Parquet writer alone makes a group of each batch, of an empty one too."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        """Wrap an open writer, which the caller closes after ``finish``."""
        self._writer = writer
        self._batches: list[pa.RecordBatch] = []
        self._rows = self._size_bytes = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Take a batch, and keep it until its group is full."""
        if not batch.num_rows:
            return
        self._batches.append(batch)
        self._rows += batch.num_rows
        self._size_bytes += batch.nbytes
        if self._rows >= _GROUP_ROWS or self._size_bytes >= _GROUP_BYTES:
            self.finish()

    def finish(self) -> None:
        """Write what is kept."""
        if self._batches:
            self._writer.write_table(pa.Table.from_batches(self._batches), row_group_size=self._rows)
            self._batches = []
            self._rows = self._size_bytes = 0
