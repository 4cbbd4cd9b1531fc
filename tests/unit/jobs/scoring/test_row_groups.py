from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.scoring import row_groups as module
from jobs.scoring.row_groups import RowGroups

SCHEMA = pa.schema([("x", pa.int64()), ("source", pa.dictionary(pa.int8(), pa.string()))])


def written(*sizes: int) -> list[int]:
    """Write batches of these rows; return the rows of each group, after a look at the rows themselves."""
    file = io.BytesIO()
    first = 0
    with pq.ParquetWriter(file, SCHEMA) as writer:
        groups = RowGroups(writer)
        for size in sizes:
            sources = pa.array(["table"] * size, pa.string()).dictionary_encode().cast(SCHEMA.field("source").type)
            groups.write(pa.RecordBatch.from_arrays([pa.array(range(first, first + size)), sources], schema=SCHEMA))
            first += size
        groups.finish()
    file.seek(0)
    table = pq.read_table(file)
    assert table.column("x").to_pylist() == list(range(first))
    assert table.schema == SCHEMA
    metadata = pq.read_metadata(file)
    return [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]


@pytest.mark.parametrize(
    "sizes, groups",
    [
        ([], []),
        ([0, 0], []),
        ([3], [3]),
        ([4, 4, 1, 0], [9]),
        ([4, 4, 3, 2], [11, 2]),
        ([25], [25]),
        ([10, 10], [10, 10]),
    ],
)
def test_batches_are_gathered(sizes: list[int], groups: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GROUP_ROWS", 10)
    assert written(*sizes) == groups


def test_long_rows_make_short_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GROUP_BYTES", 40)
    assert written(3, 3, 3) == [6, 3]
