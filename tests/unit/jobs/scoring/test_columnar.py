"""Parquet and ORC: what both promise."""

from __future__ import annotations

import errno
import io
import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from engine.errors import BadArtifact, BadSettings, NotFound, Unavailable
from engine.storage import Storage, open_storage
from jobs.scoring import orc as orc_module
from jobs.scoring import parquet as parquet_module
from jobs.scoring.chunk import Chunk
from jobs.scoring.columnar import column_chunks, decoding
from jobs.scoring.format import Format, FormatOptions, Wanted
from jobs.scoring.orc import OrcFormat
from jobs.scoring.parquet import ParquetFormat

_numbers = itertools.count()
ROWS = 100
TABLE = pa.table(
    {
        "id": pa.array(range(ROWS)),
        "city": pa.array([f"city {number % 7}" if number % 5 else None for number in range(ROWS)]),
        "x.y": pa.array([number * 0.5 for number in range(ROWS)]),
        "x": pa.array([str(number) for number in range(ROWS)]),
        "nested": pa.array([{"a": number, "b": [number, None]} for number in range(ROWS)]),
    }
)
Write = Callable[[pa.Table], bytes]


def parquet_bytes(table: pa.Table) -> bytes:
    """Row groups of 30 rows."""
    file = io.BytesIO()
    pq.write_table(table, file, row_group_size=30, write_page_checksum=True)
    return file.getvalue()


def orc_bytes(table: pa.Table) -> bytes:
    """Stripes of as few rows as there can be."""
    file = io.BytesIO()
    with orc.ORCWriter(file, stripe_size=1, batch_size=10) as writer:
        for begin in range(0, max(table.num_rows, 1), 30):
            writer.write(table.slice(begin, 30))
    return file.getvalue()


FORMATS: dict[str, tuple[Callable[[FormatOptions], Format], Write]] = {
    "parquet": (ParquetFormat, parquet_bytes),
    "orc": (OrcFormat, orc_bytes),
}


@pytest.fixture(params=FORMATS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A format, in chunks of 8 rows."""
    monkeypatch.setattr(parquet_module, "CHUNK_ROWS", 8)
    monkeypatch.setattr(orc_module, "CHUNK_ROWS", 8)
    name: str = request.param
    return name


def stored(data: bytes) -> tuple[Storage, str]:
    storage = open_storage("memory://columnar")
    name = f"{next(_numbers)}.data"
    storage.create(name, data)
    return storage, name


def wanted(*columns: str, texts: tuple[str, ...] = (), **partition: str | None) -> Wanted:
    return Wanted(columns=columns, texts=texts, partition=partition)


def read(kind: str, table: pa.Table, want: Wanted) -> Iterator[Chunk]:
    make, write = FORMATS[kind]
    storage, name = stored(write(table))
    reader = make(FormatOptions())
    pieces = reader.shape(storage, name, 1).pieces
    assert sum(piece.rows or 0 for piece in pieces) == table.num_rows
    yield from reader.read(storage, name, pieces[0].start, pieces[-1].stop, want)


def column(chunks: list[Chunk], name: str) -> list[object]:
    return [value for chunk in chunks for value in chunk.column(name).to_pylist()]  # type: ignore[union-attr]


def test_columns_in_order(kind: str) -> None:
    chunks = list(read(kind, TABLE, wanted("x", "city", "lacking", "x.y", texts=("city", "x.y", "x"))))
    assert len(chunks) > ROWS // 8
    for name in ("x", "city", "x.y"):
        assert column(chunks, name) == TABLE.column(name).to_pylist()
    assert all(chunk.column("lacking") is None for chunk in chunks)


def test_row_numbers_are_those_of_the_file(kind: str) -> None:
    chunks = list(read(kind, TABLE, wanted("id")))
    numbers = [chunk.position(row).row for chunk in chunks for row in range(len(chunk))]
    assert numbers == column(chunks, "id") == list(range(ROWS))
    assert {chunk.position(0).byte_offset for chunk in chunks} == {None}


def test_row_numbers_of_a_later_part_of_a_parquet_file() -> None:
    storage, name = stored(parquet_bytes(TABLE))
    expected = 60
    for chunk in ParquetFormat(FormatOptions()).read(storage, name, 2, 4, wanted("id")):
        for row in range(len(chunk)):
            assert chunk.position(row) == (expected, None)
            assert chunk.content(row).fields["id"] == expected  # type: ignore[index]
            expected += 1
    assert expected == ROWS


def test_content_has_all_columns_of_the_row(kind: str) -> None:
    rows = TABLE.to_pylist()
    seen = 0
    for chunk in read(kind, TABLE, wanted("city", "day", day="2026-01-01")):
        assert chunk.column("day").to_pylist() == ["2026-01-01"] * len(chunk)  # type: ignore[union-attr]
        for row in range(0, len(chunk), 3):
            content = chunk.content(row)
            assert content == (None, {"day": "2026-01-01", **rows[seen + row]})
        seen += len(chunk)
    assert seen == ROWS


def test_a_file_without_a_wanted_column_has_its_rows(kind: str) -> None:
    """Each is at fault; none may be lost."""
    assert sum(map(len, read(kind, TABLE, wanted("lacking")))) == ROWS
    chunks = list(read(kind, TABLE, wanted("day", day=None)))
    assert column(chunks, "day") == [None] * ROWS


def test_texts_are_read_as_dictionaries() -> None:
    (chunk,) = read("parquet", TABLE.slice(0, 30), wanted("city", "x", texts=("city", "id", "nested")))
    assert pa.types.is_dictionary(chunk.column("city").type)  # type: ignore[union-attr]
    assert pa.types.is_string(chunk.column("x").type)  # type: ignore[union-attr]


def test_columns_that_are_dictionaries_already() -> None:
    table = TABLE.set_column(1, "city", TABLE.column("city").dictionary_encode())
    chunks = list(read("parquet", table, wanted("city")))
    assert column(chunks, "city") == TABLE.column("city").to_pylist()


def test_no_rows_no_pieces(kind: str) -> None:
    make, write = FORMATS[kind]
    storage, name = stored(write(TABLE.slice(0, 0)))
    shape = make(FormatOptions()).shape(storage, name, 1)
    assert sum(piece.rows or 0 for piece in shape.pieces) == 0
    assert shape.schema is not None
    assert shape.schema.names == TABLE.schema.names


def test_what_python_has_no_value_for_is_in_the_content_all_the_same() -> None:
    """Of a far time its text, of broken UTF-8 its bytes: a value like that must not cost the row its quarantine."""
    broken = pa.StringArray.from_buffers(1, pa.py_buffer(np.array([0, 2], np.int32)), pa.py_buffer(b"\xff\xfe"))
    table = pa.table(
        {
            "nanoseconds": pa.array([1], pa.timestamp("ns")),
            "far": pa.array([2**62], pa.timestamp("us")),
            "zone": pa.array([0], pa.timestamp("us", "UTC")),
            "broken": broken,
            "lists": pa.array([[2**62]], pa.list_(pa.timestamp("us"))),
        }
    )
    chunks = read("parquet", table, wanted("city"))  # let go, it would close the file
    fields = next(chunks).content(0).fields
    assert fields is not None
    assert fields["nanoseconds"] == "1970-01-01 00:00:00.000000001"
    assert str(2**62) in str(fields["far"])
    assert fields["zone"] == datetime(1970, 1, 1, tzinfo=UTC)
    assert fields["broken"] == b"\xff\xfe"
    assert "list" in str(fields["lists"])


@pytest.mark.parametrize("how", ["cut", "empty", "foreign"])
def test_damage_is_told_with_the_files_name(kind: str, how: str) -> None:
    make, write = FORMATS[kind]
    data = write(TABLE)
    storage, name = stored({"cut": data[: len(data) // 2], "empty": b"", "foreign": b"id,city\n1,Bern\n" * 9}[how])
    with pytest.raises(BadArtifact, match=rf"{name}: must be an undamaged file of its format; got: .*Write it again"):
        make(FormatOptions()).shape(storage, name, 1)


def test_a_flipped_byte_in_a_page_is_found() -> None:
    data = bytearray(parquet_bytes(TABLE))
    data[60] ^= 1  # in the first page of the first column
    storage, name = stored(bytes(data))
    with pytest.raises(BadArtifact, match=f"{name}: must be an undamaged file"):
        list(ParquetFormat(FormatOptions()).read(storage, name, 0, 4, wanted("id")))


def test_damage_that_shows_when_a_rows_content_is_read() -> None:
    """In a column that nobody wants: the file is at fault, and trying again is no use."""
    data = bytearray(parquet_bytes(TABLE))
    data[60] ^= 1
    storage, name = stored(bytes(data))
    chunks = ParquetFormat(FormatOptions()).read(storage, name, 0, 1, wanted("city"))
    chunk = next(chunks)
    with pytest.raises(BadArtifact, match=f"{name}: must be an undamaged file.*CRC"):
        chunk.content(0)


def test_equal_names_are_refused() -> None:
    table = pa.table([[1], [2]], names=["id", "id"])
    storage, name = stored(parquet_bytes(table))
    with pytest.raises(BadArtifact, match=f"{name}: columns must have distinct names; got several of id"):
        ParquetFormat(FormatOptions()).shape(storage, name, 1)


def test_whole_rows_are_opened_only_when_asked_for() -> None:
    opened = []

    def whole() -> pa.RecordBatchReader:
        opened.append(True)
        return iter(TABLE.to_batches(max_chunksize=3))

    guard = lambda: decoding(open_storage("memory://columnar"), "x")  # noqa: E731
    batches = iter(TABLE.select(["id"]).to_batches(max_chunksize=7))
    chunks = list(column_chunks(batches, 1000, whole, wanted("id"), guard))
    assert opened == []
    assert chunks[2].content(1).fields["id"] == 15  # type: ignore[index]
    assert chunks[5].content(0).fields["id"] == 35  # type: ignore[index]
    assert opened == [True]
    assert chunks[5].position(0).row == 1035


@pytest.mark.parametrize(
    "error, kind",
    [
        (OSError(errno.EIO, "the storage is down"), Unavailable),
        (PermissionError(errno.EACCES, "denied"), BadSettings),
        (FileNotFoundError(errno.ENOENT, "gone"), NotFound),
        (OSError("Couldn't deserialize thrift"), BadArtifact),
        (pa.ArrowInvalid("Parquet magic bytes not found"), BadArtifact),
    ],
)
def test_a_storage_that_fails_is_told_from_a_file_that_is_damaged(error: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="memory:///columnar/x"), decoding(open_storage("memory://columnar"), "x"):
        raise error
