from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.answer import Answers, Source
from engine.errors import InvalidInput, TooManyRows
from engine.wire.arrow_stream import parse_arrow, render_arrow
from tests.support.synthetic import synthetic_schema

TABLE = pa.table({"city": ["Zürich", None, "x"], "age": pa.array([1, 2, 3], pa.int8())})


def stream(table: pa.Table, **options: object) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=2)
    return bytes(sink.getvalue().to_pybytes())


WHOLE = stream(TABLE)
DICTIONARY = TABLE.set_column(0, "city", TABLE["city"].combine_chunks().dictionary_encode())


@pytest.mark.parametrize("table", [TABLE, DICTIONARY])
def test_reads_what_was_written(table: pa.Table) -> None:
    assert parse_arrow(stream(table), max_rows=3).equals(table)


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "must end with its end mark"),
        (b"{}", "must be an Arrow stream"),
        (b"ARROW1" + WHOLE, "must be an Arrow stream"),
        (WHOLE[:-8], "must end with its end mark"),
        (WHOLE[:-20], "must be an Arrow stream"),
        (WHOLE + b"x", "must end with its end mark"),
        (WHOLE + WHOLE, "must end with its end mark"),
        (stream(TABLE, compression="zstd"), "must not be compressed"),
        (stream(DICTIONARY, compression="lz4"), "must not be compressed"),
        (stream(TABLE.slice(0, 0)), "must have at least one row"),
        (stream(pa.table([[1], [2]], names=["a", "a"])), "columns must have distinct names"),
        (stream(pa.table({"a": pa.array([b"\xff"]).view(pa.utf8())})), "must be an Arrow stream: .*UTF8"),
    ],
)
def test_what_is_no_stream(data: bytes, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        parse_arrow(data, max_rows=100)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(
    "offsets, data, message",
    [
        ([0, 2, 50], b"abcde", "larger than values array"),
        ([0, 3, 1], b"abcde", "non-monotonic offset"),
        ([0, -1, 5], b"abcde", "non-monotonic offset"),
        ([0, 1, 2], "é".encode(), "Invalid UTF8 sequence"),
        ([0, 2, 3], b"ab\xff", "Invalid UTF8 sequence"),
    ],
)
def test_texts_that_are_none_are_refused(offsets: list[int], data: bytes, message: str, large: bool) -> None:
    kind, width = (pa.large_string(), np.int64) if large else (pa.string(), np.int32)
    whole = np.array([0, 2, len(data)], width).tobytes()
    texts = pa.Array.from_buffers(kind, 2, [None, pa.py_buffer(whole), pa.py_buffer(data)])
    body = stream(pa.table({"a": texts})).replace(whole, np.array(offsets, width).tobytes())
    with pytest.raises(InvalidInput, match=message):
        parse_arrow(body, max_rows=100)


def test_too_many_rows() -> None:
    with pytest.raises(TooManyRows, match="must have 2 rows or fewer"):
        parse_arrow(WHOLE, max_rows=2)


@settings(max_examples=400)
@given(st.data())
def test_damaged_stream_is_read_or_refused(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([WHOLE, stream(DICTIONARY)]))
    damaged = bytearray(whole)
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4)):
        damaged[place] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.one_of(st.just(len(whole)), st.integers(0, len(whole))))
    try:
        table = parse_arrow(bytes(damaged[:cut]), max_rows=100)
    except InvalidInput:
        return
    table.to_pylist()


def test_answers_and_faults_stand_side_by_side() -> None:
    values = np.array([[0.1, 0.2, 0.3], [np.nan] * 3], np.float32)
    fault = InvalidInput("feature 'age' must be a number", cause="not_a_number", feature="age")
    answers = Answers(values, np.array([Source.TABLE, Source.NONE], np.uint8), {1: fault})
    with pa.ipc.open_stream(render_arrow(answers, synthetic_schema(), 7)) as reader:
        first, second = reader.read_all().to_pylist()
    share = values[0, 1:].tolist()
    assert first == {"click": float(values[0, 0]), "share": share, "source": "table", "release": 7, "fault": None}
    told = {"cause": "not_a_number", "feature": "age", "message": "feature 'age' must be a number"}
    assert second == {"click": None, "share": None, "source": None, "release": None, "fault": told}
