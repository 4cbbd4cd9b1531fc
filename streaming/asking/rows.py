"""Rows from a file or standard input, a few to a request."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import IO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import BadSettings, InvalidInput
from engine.wire.arrow_stream import write_arrow
from engine.wire.json_document import kind_of, parse_json

STANDARD_INPUT = "-"
_PARQUET = ".parquet"


class Asked(NamedTuple):
    """What one request asks.

    Attributes:
        value: a JSON object, a list of them, or an Arrow stream.
        rows: how many there are.
        key: of the record, or None.
    """

    value: bytes
    rows: int
    key: bytes | None


class Reader:
    """Reads rows, and makes them values of records."""

    def __init__(self, source: str, *, rows_a_record: int, arrow: bool, key: str | None) -> None:
        """Take the path, or ``-``; so many rows a request; Arrow or JSON; which feature is the key.

        Raises:
            BadSettings: Parquet cannot go as JSON.
        """
        self._source, self._rows, self._arrow, self._key = source, rows_a_record, arrow, key
        if source.endswith(_PARQUET) and not arrow:
            message = f"--input {source}: Parquet must go as Arrow; got no --arrow. Give it"
            raise BadSettings(message)

    def requests(self) -> Iterator[Asked]:
        """Read as requests are taken.

        Raises:
            BadSettings: the input cannot be opened.
            InvalidInput: a line is no JSON object, or a row has no such key.
        """
        if self._source.endswith(_PARQUET):
            yield from self._tables()
            return
        with _opened(self._source) as file:
            lines = self._lines(file)
            while batch := list(islice(lines, self._rows)):
                yield self._request(batch)

    def _lines(self, lines: Iterable[bytes]) -> Iterator[tuple[int, bytes, dict[str, object]]]:
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if text:
                where = f"{self._source}, line {number}"
                row = parse_json(text, what=where)
                if not isinstance(row, dict):
                    message = f"{where} must be a JSON object, a row; got {kind_of(row)}"
                    raise InvalidInput(message)
                yield number, text, row

    def _request(self, batch: list[tuple[int, bytes, dict[str, object]]]) -> Asked:
        number, text, first = batch[0]
        key = self._key_of(first, f"{self._source}, line {number}")
        if self._arrow:
            try:
                table = pa.Table.from_pylist([row for _, _, row in batch])
            except pa.ArrowException as error:
                message = f"{self._source}, lines {number} to {batch[-1][0]}: must be columns of one type each; {error}"
                raise InvalidInput(message) from error
            return Asked(write_arrow(table), len(batch), key)
        # The lines as they are: read and written again, a number could become another.
        value = text if self._rows == 1 else b"[" + b",".join(line for _, line, _ in batch) + b"]"
        return Asked(value, len(batch), key)

    def _tables(self) -> Iterator[Asked]:
        try:
            with pq.ParquetFile(self._source) as file:
                for place, batch in enumerate(file.iter_batches(self._rows)):
                    key = self._key_of(batch.slice(0, 1).to_pylist()[0], f"{self._source}, request {place}")
                    yield Asked(write_arrow(pa.Table.from_batches([batch])), batch.num_rows, key)
        except (OSError, pa.ArrowException) as error:
            message = f"--input must be a Parquet file that can be read; got {self._source!r}: {error}"
            raise BadSettings(message) from error

    def _key_of(self, row: dict[str, object], where: str) -> bytes | None:
        if self._key is None:
            return None
        if self._key not in row:
            message = f"{where} must have the key's feature {self._key!r}; got {', '.join(row)[:200]}"
            raise InvalidInput(message, feature=self._key)
        value = row[self._key]
        return value.encode() if isinstance(value, str) else json.dumps(value, default=str).encode()


@contextmanager
def _opened(source: str) -> Iterator[IO[bytes]]:
    if source == STANDARD_INPUT:
        # Not sys.stdin: Python cannot end while a thread waits in that.
        with open(0, "rb", closefd=False) as file:
            yield file
        return
    try:
        file = open(source, "rb")  # noqa: SIM115, PTH123  # an error while it is read is another
    except OSError as error:
        message = f"--input must be a file that can be read, or - for standard input; got {source!r}: {error}"
        raise BadSettings(message) from error
    with file:
        yield file
