"""The quarantine: rows that could not be scored, whole, with the cause and the place of each."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import InvalidInput
from engine.storage import storage_error
from jobs.scoring.chunk import Chunk, Content, json_text

FOLDER = "_quarantine"
REDACTED = "[redacted]"
SCHEMA = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),  # below the input
        ("row", pa.int64()),  # from 0; null in text files
        ("byte_offset", pa.int64()),  # of the row's first byte; null where rows are counted
        pa.field("cause", pa.string(), nullable=False),
        ("feature", pa.string()),
        pa.field("message", pa.string(), nullable=False),
        ("content", pa.string()),  # the text of the row, or its columns as a JSON object
        ("content_bytes", pa.binary()),  # instead, where the text is not UTF-8
    ]
)
# Faulty rows that are kept before they are written: a file of nothing but bad rows must not fill the memory.
_BUFFER_ROWS = 1 << 14
_BUFFER_BYTES = 1 << 24


class Quarantine:
    """Collects a split's faulty rows in a temporary file of this host.

    Attributes:
        rows: so far.
        causes: how many rows by cause.
        examples: of each cause, the first row's place and what is wrong with it.
    """

    def __init__(self, redact: tuple[str, ...]) -> None:
        """Open it.

        Args:
            redact: columns whose values must not be in it.
        """
        self._redact = frozenset(redact)
        self._file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close
        self._writer = pq.ParquetWriter(self._file, SCHEMA, compression="zstd")
        self._buffer: list[Mapping[str, object]] = []
        self._buffer_bytes = 0
        self.rows = 0
        self.causes: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def add(self, file: str, chunk: Chunk, faults: Mapping[int, InvalidInput]) -> None:
        """Take the faulty rows of a chunk."""
        for row, error in sorted(faults.items()):
            position, content = chunk.position(row), chunk.content(row)
            text, raw = self._content(content)
            message = self._message(error)
            self.examples.setdefault(error.cause, f"{file} {position}: {message}")
            self._buffer.append(
                {
                    "file": file,
                    "row": position.row,
                    "byte_offset": position.byte_offset,
                    "cause": error.cause,
                    "feature": error.feature,
                    "message": message,
                    "content": text,
                    "content_bytes": raw,
                }
            )
            self.causes[error.cause] += 1
            self.rows += 1
            self._buffer_bytes += len(text or raw or b"")
            if len(self._buffer) >= _BUFFER_ROWS or self._buffer_bytes >= _BUFFER_BYTES:
                self._flush()

    def finish(self) -> BinaryIO:
        """Return the whole Parquet file, open at its beginning; ``close`` removes it."""
        self._flush()
        with _temporary_file():
            self._writer.close()
            self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Let the temporary file go."""
        self._writer.close()
        self._file.close()

    def _flush(self) -> None:
        if self._buffer:
            with _temporary_file():
                self._writer.write_batch(pa.RecordBatch.from_pylist(self._buffer, SCHEMA))
            self._buffer.clear()
            self._buffer_bytes = 0

    def _message(self, error: InvalidInput) -> str:
        # A message quotes the value. Without a feature it may quote any part of the row.
        hidden = self._redact and (error.feature is None or error.feature in self._redact)
        return f"{error.cause} {REDACTED}" if hidden else str(error)

    def _content(self, content: Content) -> tuple[str | None, bytes | None]:
        if self._redact:
            if content.fields is None:  # nobody can say which part of the text is which column
                return REDACTED, None
            shown = {name: REDACTED if name in self._redact else value for name, value in content.fields.items()}
            return json_text(shown), None
        if content.text is None:
            return json_text(content.fields), None
        try:
            return content.text.decode(), None
        except UnicodeDecodeError:
            return None, content.text


@contextmanager
def _temporary_file() -> Iterator[None]:
    """Tell trouble with this host's temporary directory from trouble with the output, which is written meanwhile."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, f"temporary directory {tempfile.gettempdir()}") from error
