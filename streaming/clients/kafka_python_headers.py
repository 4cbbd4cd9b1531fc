"""Header names that are not UTF-8: kafka-python would stop at the first record that has one, and never get past it."""

from __future__ import annotations

from typing import Any

from kafka.record.default_records import DefaultRecordBatch


class _Name(bytes):
    """Bytes of which each can be read as text, as Java's clients read them."""

    def decode(self, *_: str) -> str:
        return super().decode("utf-8", "replace")


class _Lenient(bytes):
    """A batch whose parts are such bytes."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Name(found) if isinstance(found, bytes) else found


_strict_read = DefaultRecordBatch._read_msg


def _read(batch: Any) -> Any:
    """Read a record of a batch; again, and leniently, where the library cannot."""
    try:
        return _strict_read(batch)
    except UnicodeDecodeError:
        batch._buffer = _Lenient(batch._buffer)  # to its end: a copy for each such record would take long
        return _strict_read(batch)


def mend_header_names() -> None:
    """Have the library read such names, with a replacement character for what is no text."""
    DefaultRecordBatch._read_msg = _read
