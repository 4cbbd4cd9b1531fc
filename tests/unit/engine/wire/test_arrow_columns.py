from __future__ import annotations

import struct

import numpy as np
import pyarrow as pa
import pytest

from engine.errors import InvalidInput
from engine.wire.arrow_columns import check_columns

ROWS = 1000
SAME = np.zeros(ROWS, np.int8)
NUMBERS = pa.array([1.0] * 5000)
TEXT = "x" * 5000


def views(kind: pa.DataType) -> pa.Array:
    """Rows that all view one text."""
    content = TEXT.encode()
    place = struct.pack("<i4sii", len(content), content[:4], 0, 0)
    return pa.Array.from_buffers(kind, ROWS, [None, pa.py_buffer(place * ROWS), pa.py_buffer(content)])


def listed() -> pa.Array:
    """Rows that all view the same numbers."""
    return pa.ListViewArray.from_arrays(pa.array(SAME, pa.int32()), pa.array(SAME + 100, pa.int32()), NUMBERS)


@pytest.mark.parametrize(
    "column",
    [
        pa.DictionaryArray.from_arrays(SAME, pa.array([NUMBERS.to_pylist()])),
        pa.RunEndEncodedArray.from_arrays(pa.array([ROWS], pa.int32()), pa.array([NUMBERS.to_pylist()])),
        pa.RunEndEncodedArray.from_arrays(pa.array([ROWS], pa.int32()), pa.array([TEXT])),
        listed(),
        pa.FixedSizeListArray.from_arrays(pa.nulls(ROWS * 100_000), 100_000),
        pa.array([[None] * 10] * ROWS, pa.list_(pa.list_(pa.null()))),
        pa.array([[{}] * 10] * ROWS, pa.list_(pa.struct([]))),
        pa.array([{"a": 1}] * ROWS),
        pa.array([[("a", 1)]] * ROWS, pa.map_(pa.string(), pa.int64())),
        pa.UnionArray.from_sparse(pa.array(SAME), [pa.array(["a"] * ROWS)]),
    ],
    ids=lambda column: str(column.type)[:40],
)
def test_types_that_unfold(column: pa.Array) -> None:
    with pytest.raises(InvalidInput, match=r"feature 'a' must be numbers, texts, .*got Arrow's .*Cast the column"):
        check_columns(pa.table({"a": column}), ["a"], limit_bytes=10**9)


@pytest.mark.parametrize(
    "column",
    [
        pa.DictionaryArray.from_arrays(SAME, pa.array([TEXT])),
        pa.DictionaryArray.from_arrays(SAME, pa.array([TEXT], pa.large_string())),
        pa.DictionaryArray.from_arrays(SAME, pa.array([TEXT.encode()])),
        pa.DictionaryArray.from_arrays(SAME, pa.array([TEXT], pa.string_view())),
        views(pa.string_view()),
        views(pa.binary_view()),
    ],
    ids=lambda column: str(column.type)[:40],
)
def test_texts_that_rows_share(column: pa.Array) -> None:
    table, written = pa.table({"a": column}), ROWS * len(TEXT)
    check_columns(table, ["a"], limit_bytes=written)
    with pytest.raises(InvalidInput, match=rf"must have {written - 1} bytes or fewer of texts.*got {written}. Send"):
        check_columns(table, ["a"], limit_bytes=written - 1)
    check_columns(table, ["another"], limit_bytes=0)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([TEXT]),
        pa.array([1]),
        pa.array([True]),
        pa.array([None]),
        pa.array(["a", None, "bc"], pa.string_view()),
        pa.array(["long enough to lie in a buffer", None, "bc"], pa.string_view()).slice(1),
        pa.array(["a", None, "a"]).dictionary_encode(),
        pa.array([1, None, 1]).dictionary_encode(),
        pa.array([], pa.string()).dictionary_encode(),
        pa.array([[[1.0, 2.0]], [[3.0, 4.0]]], pa.list_(pa.list_(pa.float32(), 2))),
        pa.FixedShapeTensorArray.from_numpy_ndarray(np.ones((2, 2, 3), np.float32)),
    ],
    ids=lambda column: str(column.type)[:40],
)
def test_what_is_read(column: pa.Array) -> None:
    check_columns(pa.table({"a": column}), ["a"], limit_bytes=50)
