"""Columns of a file's path: they are features like any others, and count where the file has the same column."""

from __future__ import annotations

import io
import secrets

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from engine.storage import Storage, open_storage
from jobs.scoring.format import FormatOptions, Wanted, open_format

FILES = {
    "csv": b"day,id\n7,1\n8,2\n",
    "jsonl": b'{"day": 7, "id": 1}\n{"day": 8, "id": 2}\n',
}


def columnar(kind: str) -> bytes:
    rows = pa.table({"day": [7, 8], "id": [1, 2]})
    file = io.BytesIO()
    write = pq.write_table if kind == "parquet" else orc.write_table
    write(rows, pa.PythonFile(file))
    return file.getvalue()


@pytest.fixture
def storage() -> Storage:
    return open_storage(f"memory://{secrets.token_hex(8)}")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "orc"])
@pytest.mark.parametrize("value", ["3", None])
def test_the_path_counts_where_the_file_has_the_column_too(storage: Storage, kind: str, value: str | None) -> None:
    storage.create("file", FILES.get(kind) or columnar(kind))
    reader = open_format(kind, FormatOptions())
    shape = reader.shape(storage, "file", 1 << 20)
    wanted = Wanted(columns=("day", "id", "region"), texts=(), partition={"day": value, "region": "north"})
    chunks = reader.read(storage, "file", shape.pieces[0].start, shape.pieces[-1].stop, wanted)
    chunk = next(chunks)  # its file is open until the next one is asked for
    for name, expected in (("day", [value, value]), ("region", ["north", "north"])):
        column = chunk.column(name)
        assert (column.to_pylist() if isinstance(column, pa.Array) else column) == expected
    fields = chunk.content(1).fields
    assert fields is not None
    assert (fields["day"], fields["region"], str(fields["id"])) == (value, "north", "2")
