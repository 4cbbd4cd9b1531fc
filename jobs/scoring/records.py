"""Text files as records: blocks of whole lines, and where each record begins."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from engine.errors import BadArtifact
from engine.storage import Storage
from jobs.scoring.chunk import CHUNK_ROWS, Position
from jobs.scoring.columnar import decoding
from jobs.scoring.format import Piece

# About CHUNK_ROWS rows of a hundred bytes.
BLOCK_BYTES = 1 << 21
# A file without line breaks is not a text file, and must not fill the memory.
_LONGEST_RECORD_BYTES = 1 << 26
# A record that spans lines must be closed within so many bytes. Longer, and a stray quote hides more rows.
_LONGEST_QUOTED_BYTES = 1 << 20
_NEWLINE, _RETURN, _QUOTE = b'\n\r"'
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Records:
    """The records of a block of text; empty lines are none.

    Attributes:
        data: the block.
        offset: of the block in the file.
        starts: int64 of shape (n,): where each record begins in ``data``.
        stops: int64 of shape (n,): where each ends, its line break excluded.
    """

    data: bytes
    offset: int
    starts: npt.NDArray[np.int64]
    stops: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.starts)

    def text(self, row: int) -> bytes:
        """Return a record as it stands."""
        return self.data[int(self.starts[row]) : int(self.stops[row])]

    def position(self, row: int) -> Position:
        """Return where a record stands."""
        return Position(None, self.offset + int(self.starts[row]))

    def odd_quotes(self) -> npt.NDArray[np.bool_]:
        """Bool of shape (n,): the records that have an odd number of double quotes."""
        quotes = np.flatnonzero(np.frombuffer(self.data, np.uint8) == _QUOTE)
        odd: npt.NDArray[np.bool_] = (
            np.searchsorted(quotes, self.stops) - np.searchsorted(quotes, self.starts)
        ) % 2 == 1
        return odd


@contextmanager
def open_text(storage: Storage, path: str) -> Iterator[BinaryIO]:
    """Open a text file, seekable and buffered; errors as ``columnar.decoding`` tells them."""
    with decoding(storage, path), storage.open_input(path) as source, io.BufferedReader(source, BLOCK_BYTES) as file:
        yield file


def read_records(file: BinaryIO, start: int, stop: int, *, quoted_breaks: bool, where: str) -> Iterator[Records]:
    """Read the records that begin in ``[start, stop)``, in blocks of ``BLOCK_BYTES`` or ``CHUNK_ROWS``, more or less.

    Args:
        file: seekable.
        start: of the range, in bytes. A record that began before belongs to the range before.
        stop: of the range, in bytes. A record that began within is read to its end.
        quoted_breaks: a line break between double quotes does not end a record.
        where: what errors call the file.

    Raises:
        BadArtifact: a record does not end.
    """
    offset = start
    file.seek(max(start - 1, 0))
    if start:  # the line that begins before the range: it ends with the break at start - 1, or further on
        line = file.readline(_LONGEST_RECORD_BYTES)
        if len(line) == _LONGEST_RECORD_BYTES:
            raise _endless(where, start - 1)
        offset = start - 1 + len(line)
        file.seek(offset)
    rest = b""
    while offset < stop:
        wanted = max(BLOCK_BYTES, len(rest))
        more = file.read(wanted)
        data, at_end = rest + more, len(more) < wanted
        if not data:
            return
        breaks = _quoted_breaks(data, at_end=at_end) if quoted_breaks else _newlines(data)
        if at_end and not quoted_breaks and (not len(breaks) or breaks[-1] != len(data) - 1):
            breaks = np.append(breaks, len(data))  # the last record has no line break
        if not len(breaks):
            if len(data) > _LONGEST_RECORD_BYTES:
                raise _endless(where, offset)
            rest = data
            continue
        end = min(int(breaks[-1]) + 1, len(data))
        starts = np.concatenate([[0], breaks[:-1] + 1])
        within = starts < stop - offset
        records = _records(data[:end], offset, starts[within], breaks[within])
        for first in range(0, len(records), CHUNK_ROWS):
            rows = slice(first, first + CHUNK_ROWS)
            yield Records(records.data, offset, records.starts[rows], records.stops[rows])
        rest = data[end:]
        offset += end


def byte_pieces(begin: int, end: int, piece_bytes: int) -> tuple[Piece, ...]:
    """Cut the bytes ``[begin, end)`` of a file whose records do not span lines."""
    starts = range(begin, end, piece_bytes)
    stops = [*starts[1:], end]
    return tuple(
        Piece(start=start, stop=stop, size_bytes=stop - start) for start, stop in zip(starts, stops, strict=False)
    )


def _newlines(data: bytes) -> npt.NDArray[np.int64]:
    """Return where the lines of a block end, int64 of shape (n,)."""
    return np.flatnonzero(np.frombuffer(data, np.uint8) == _NEWLINE)


def _quoted_breaks(data: bytes, *, at_end: bool) -> npt.NDArray[np.int64]:
    """Return where records end in a block that begins with a record: at line breaks after an even number of quotes.

    A quote that is never closed would take the rest of the file into its record: there the record ends with its line.
    """
    newlines = _newlines(data)
    quotes = np.flatnonzero(np.frombuffer(data, np.uint8) == _QUOTE)
    # A doubled quote counts twice, which is right.
    breaks: npt.NDArray[np.int64] = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
    tail = int(breaks[-1]) + 1 if len(breaks) else 0
    if tail == len(data):
        return breaks
    if len(quotes) % 2 == 0:  # no quote is open: the record ends with the file, or goes on in the next block
        return np.append(breaks, len(data)) if at_end else breaks
    if at_end or len(data) - tail > _LONGEST_QUOTED_BYTES:
        line = data.find(b"\n", tail)
        if line >= 0 or at_end:
            return np.append(breaks, line if line >= 0 else len(data))
    return breaks


def _endless(where: str, offset: int) -> BadArtifact:
    return BadArtifact(
        f"{where}: a record must end within {_LONGEST_RECORD_BYTES} bytes; from byte {offset} on none does"
    )


def _records(data: bytes, offset: int, starts: npt.NDArray[np.int64], breaks: npt.NDArray[np.int64]) -> Records:
    codes = np.frombuffer(data, np.uint8)
    starts, stops = starts.copy(), breaks.copy()
    if offset == 0 and data.startswith(BYTE_ORDER_MARK) and len(starts):
        starts[0] = len(BYTE_ORDER_MARK)
    before = np.maximum(stops - 1, 0)
    stops -= (stops > starts) & (codes[before] == _RETURN)
    full = stops > starts
    return Records(data, offset, starts[full], stops[full])
