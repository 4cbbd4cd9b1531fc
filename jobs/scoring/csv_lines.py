"""CSV input: a header line, then one record a line; every value is a text, as it stands."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

from engine.errors import BadArtifact, InvalidInput
from engine.storage import Storage
from jobs.scoring.chunk import Chunk, Content, with_partition
from jobs.scoring.format import FormatOptions, Piece, Shape, Wanted
from jobs.scoring.records import BYTE_ORDER_MARK, Records, byte_pieces, open_text, read_records

_LONGEST_HEADER_BYTES = 1 << 20
# Python's parser refuses longer fields, 128 KiB unless told otherwise; Arrow's has no such limit, and both must agree.
_LONGEST_FIELD_BYTES = 1 << 27


class CsvFormat:
    """Reads CSV files (RFC 4180: double quotes, doubled inside)."""

    name = "csv"

    def __init__(self, options: FormatOptions) -> None:
        """Take the delimiter, and whether a record may span lines: then a file is not cut."""
        self._delimiter, self._multiline = options.delimiter, options.multiline
        csv.field_size_limit(_LONGEST_FIELD_BYTES)  # of the whole process

    def shape(self, storage: Storage, path: str, piece_bytes: int) -> Shape:
        """Read a file's header."""
        with open_text(storage, path) as source:
            header, begin = self._header(source, path)
        size = storage.size(path)
        whole = [Piece(start=begin, stop=size, size_bytes=size - begin)] if size > begin else []
        pieces = whole if self._multiline else byte_pieces(begin, size, piece_bytes)
        return Shape(schema=pa.schema([(name, pa.string()) for name in header]), pieces=tuple(pieces))

    def read(self, storage: Storage, path: str, start: int, stop: int, wanted: Wanted) -> Iterator[Chunk]:
        """Read the records that begin in bytes ``start`` to ``stop - 1``."""
        where = f"{storage.url}/{path}"
        with open_text(storage, path) as source:
            header, _ = self._header(source, path)
            for records in read_records(source, start, stop, quoted_breaks=self._multiline, where=where):
                yield self._chunk(records, header, wanted)

    def _header(self, source: BinaryIO, path: str) -> tuple[list[str], int]:
        """Return the columns' names and where the records begin."""
        line = source.readline(_LONGEST_HEADER_BYTES)
        try:
            names = self._fields(line.removeprefix(BYTE_ORDER_MARK).rstrip(b"\r\n"))
        except ValueError:
            names = []
        if line and (not names or len(line) == _LONGEST_HEADER_BYTES):
            message = f"{path}: a CSV file must begin with a line of column names; got {line[:40]!r}. "
            message += "Add one; where the file is no CSV, or not UTF-8, say its --format or convert it"
            raise BadArtifact(message)
        if len(set(names)) != len(names):
            message = f"{path}: columns must have distinct names; got {', '.join(names)}. Rename them"
            raise BadArtifact(message)
        return names, len(line)

    def _chunk(self, records: Records, header: list[str], wanted: Wanted) -> Chunk:
        columns = frozenset(wanted.columns)  # both may be long: a search of one in the other is quadratic
        names = [name for name in header if name in columns]
        parsed = self._parse_block(records, header, names) or self._parse_each(records, header, names)
        batch, malformed = parsed

        def content(row: int) -> Content:
            fields = None if row in malformed else dict(zip(header, self._fields(records.text(row)), strict=True))
            return Content(records.text(row), None if fields is None else {**fields, **wanted.partition})

        return Chunk(
            values=with_partition(batch, wanted.partition),
            content=content,
            position=records.position,
            malformed=malformed,
        )

    def _parse_block(
        self, records: Records, header: list[str], names: list[str]
    ) -> tuple[pa.RecordBatch, dict[int, InvalidInput]] | None:
        """Parse all records at once; None where Arrow does not see the records that we see."""
        if not len(records) or not names or records.odd_quotes().any():
            return None
        block = records.data[int(records.starts[0]) : int(records.stops[-1])]
        # Arrow ends a record at a lone \r, drops a byte order mark wherever it begins, and decodes wanted columns only.
        if block.count(b"\r") != block.count(b"\r\n") or block.startswith(BYTE_ORDER_MARK) or not _is_utf8(block):
            return None
        if not _is_well_quoted(block, self._delimiter):
            return None
        wrong: dict[int, InvalidInput] = {}

        def skip(row: pacsv.InvalidRow) -> str:
            wrong[row.number - 1] = _wrong_width(row.expected_columns, row.actual_columns)
            return "skip"

        try:
            table = pacsv.read_csv(
                pa.BufferReader(block),
                read_options=pacsv.ReadOptions(
                    column_names=header, use_threads=False, block_size=max(len(block) + 1, 2)
                ),
                parse_options=pacsv.ParseOptions(
                    delimiter=self._delimiter, newlines_in_values=self._multiline, invalid_row_handler=skip
                ),
                convert_options=pacsv.ConvertOptions(
                    column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False, include_columns=names
                ),
            )
        except pa.ArrowInvalid:  # no record is whole
            return None
        if table.num_rows + len(wrong) != len(records) or not all(0 <= row < len(records) for row in wrong):
            return None
        if wrong:
            table = table.take(_spread(len(records), wrong))
        (batch,) = table.combine_chunks().to_batches() or [_empty(names)]
        return batch, wrong

    def _parse_each(
        self, records: Records, header: list[str], names: list[str]
    ) -> tuple[pa.RecordBatch, dict[int, InvalidInput]]:
        """Parse one record after the other."""
        malformed: dict[int, InvalidInput] = {}
        rows: list[Mapping[str, str]] = []
        for row in range(len(records)):
            fields: list[str] = []
            try:
                fields = self._fields(records.text(row))
            except ValueError as error:
                malformed[row] = InvalidInput(f"a record must be CSV in UTF-8: {error}", cause="malformed")
            else:
                if len(fields) != len(header):
                    malformed[row] = _wrong_width(len(header), len(fields))
            rows.append({} if row in malformed else dict(zip(header, fields, strict=True)))
        columns = [pa.array([row.get(name) for row in rows], pa.string()) for name in names]
        if not names:
            return pa.RecordBatch.from_struct_array(pa.array([{}] * len(rows), pa.struct([]))), malformed
        return pa.RecordBatch.from_arrays(columns, names), malformed

    def _fields(self, text: bytes) -> list[str]:
        """Parse one record; raise ``ValueError`` where it is none."""
        if text.count(b'"') % 2:
            message = f"a quote is never closed in {text[:80]!r}"
            raise ValueError(message)
        try:
            return next(csv.reader([text.decode()], delimiter=self._delimiter), [])
        except csv.Error as error:
            raise ValueError(str(error)) from error


def _is_well_quoted(block: bytes, delimiter: str) -> bool:
    """Whether quotes stand around whole fields. Where others are, parsers differ in what is inside of which."""
    codes = np.frombuffer(b"\n" + block + b"\n", np.uint8)
    quotes = np.flatnonzero(codes == ord('"'))
    opening, closing = codes[quotes[::2] - 1], codes[quotes[1::2] + 1]
    within = [ord(delimiter), *b'\n"']  # a quote: of a doubled one, the first closes and the second opens
    return len(quotes) % 2 == 0 and bool(np.isin(opening, within).all() and np.isin(closing, [*within, *b"\r"]).all())


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _wrong_width(expected: int, actual: int) -> InvalidInput:
    return InvalidInput(f"a record must have {expected} fields, as the header; got {actual}", cause="malformed")


def _spread(rows: int, missing: dict[int, InvalidInput]) -> pa.Array:
    """Return where each of ``rows`` stands among those that are not missing; null where it is."""
    present = np.ones(rows, bool)
    present[list(missing)] = False
    places: npt.NDArray[np.int64] = np.cumsum(present) - 1
    return pa.array(places, mask=~present)


def _empty(names: list[str]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], pa.string()) for _ in names], names)
