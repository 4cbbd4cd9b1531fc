from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pytest

from engine.errors import BadSettings
from jobs.scoring.chunk import Chunk, Content, Position
from jobs.scoring.kept import kept_column, kept_schema

A = pa.schema([("id", pa.int64()), ("city", pa.string())])


def chunk(values: pa.RecordBatch | Sequence[Mapping[str, object]]) -> Chunk:
    return Chunk(values=values, content=lambda row: Content(None, None), position=lambda row: Position(row, None))


def column(values: Sequence[object] | pa.Array, kind: pa.DataType) -> tuple[list[object], dict[int, str]]:
    """Bring a column into a type: Arrow's where it is given, or rows of JSON."""
    if isinstance(values, pa.Array):
        rows = chunk(pa.record_batch({"x": values}))
    else:
        rows = chunk([{"x": value} for value in values])
    array, faults = kept_column(rows, pa.field("x", kind))
    assert array.type == kind
    assert all((error.cause, error.feature) == ("wrong_type", "x") for error in faults.values())
    return array.to_pylist(), {row: str(error) for row, error in faults.items()}


@pytest.mark.parametrize("values", [pa.array(["1", "", None, "x"]), ["1", "", None, "x"]], ids=["CSV", "JSON"])
def test_an_empty_text_is_no_number_and_not_wrong(values: pa.Array | list[object]) -> None:
    found, faults = column(values, pa.int64())
    assert found == [1, None, None, None]
    assert faults == {3: "column 'x' must be int64; got 'x'"}
    assert column(values, pa.string()) == (["1", "", None, "x"], {})


def test_all_columns_of_all_files() -> None:
    other = pa.schema([("city", pa.string()), ("size", pa.float64())])
    assert kept_schema(None, [A, other]) == pa.schema([*A, ("size", pa.float64())])


@pytest.mark.parametrize(
    "one, other, common",
    [
        (pa.int32(), pa.int64(), pa.int64()),
        (pa.int64(), pa.float64(), pa.float64()),
        (pa.int64(), pa.string(), pa.string()),
        (pa.null(), pa.string(), pa.string()),
        (pa.bool_(), pa.int64(), pa.string()),
        (pa.date32(), pa.string(), pa.string()),
        (pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.string()),
        (pa.dictionary(pa.int8(), pa.string()), pa.string(), pa.string()),
        (pa.decimal128(38, 2), pa.decimal128(38, 30), pa.string()),
        (pa.list_(pa.int64()), pa.int64(), pa.string()),
    ],
)
def test_a_column_of_two_types_has_one_over_the_job(one: pa.DataType, other: pa.DataType, common: pa.DataType) -> None:
    schemas = [pa.schema([("x", one)]), pa.schema([("x", other)])]
    assert kept_schema(None, schemas).field("x").type == common
    assert kept_schema(("x",), schemas[::-1]).field("x").type == common


def test_choices_in_their_order_with_types() -> None:
    kept = kept_schema(("city", "id:string"), [A])
    assert kept == pa.schema([("city", pa.string()), ("id", pa.string())])
    assert kept_schema((), [A]) == pa.schema([])


def test_a_column_whose_name_looks_like_a_typed_choice() -> None:
    assert kept_schema(
        ("a:int64", "line\nbreak"), [pa.schema([("a:int64", pa.bool_()), ("line\nbreak", pa.int8())])]
    ) == (pa.schema([("a:int64", pa.bool_()), ("line\nbreak", pa.int8())]))


def test_rows_with_columns_of_their_own_keep_texts_unless_told() -> None:
    assert kept_schema(("id:int64", "note"), [None]) == pa.schema([("id", pa.int64()), ("note", pa.string())])


def test_columns_of_the_path_stay_there() -> None:
    assert kept_schema(None, [A], {"city"}).names == ["id"]
    assert kept_schema(("id", "day", "city:string"), [A], {"day", "city"}).names == ["id"]


@pytest.mark.parametrize(
    "choices, message",
    [
        (("nobody",), "a kept column must be one of id, city; got 'nobody'"),
        (("id:int",), "the type of a kept column must be one of string, int64, .*; got 'id:int'"),
        (("id", "id:string"), "a kept column must be named once; got 'id' again"),
        (("city\n",), "a kept column must be one of id, city; got"),
    ],
)
def test_a_wrong_choice(choices: tuple[str, ...], message: str) -> None:
    with pytest.raises(BadSettings, match=message):
        kept_schema(choices, [A])


def test_everything_of_json_lines_is_unknown() -> None:
    with pytest.raises(BadSettings, match=r"JSON lines have no fixed columns: name those to keep \(--keep id,day\)"):
        kept_schema(None, [None])


@pytest.mark.parametrize(
    "values, kind, kept, faults",
    [
        (["1", "x", None, "2.5"], pa.int64(), [1, None, None, None], {1: "'x'", 3: "'2.5'"}),
        ([1, 2**53, 2**53 + 1], pa.float64(), [1.0, 2.0**53, None], {2: "'9007199254740993'"}),
        ([1.0, 1.5, float("nan")], pa.int64(), [1, None, None], {1: "'1.5'", 2: "'nan'"}),
        (["2026-01-31", "31.1.2026"], pa.date32(), ["2026-01-31", None], {1: "'31.1.2026'"}),
        ([1, 300], pa.int8(), [1, None], {1: "'300'"}),
        (["true", "7"], pa.bool_(), [True, None], {1: "'7'"}),
    ],
)
def test_a_value_of_no_such_form_is_a_fault_of_its_row(
    values: list[object], kind: pa.DataType, kept: list[object], faults: dict[int, str]
) -> None:
    for given in (values, pa.array(values)):
        found, errors = column(given, kind)
        assert [str(v) if pa.types.is_date(kind) and v else v for v in found] == kept
        assert errors == {row: f"column 'x' must be {kind}; got {shown}" for row, shown in faults.items()}


def test_json_values_of_mixed_kinds() -> None:
    values = [1, "2", 2.5, True, None, [3], {"a": 1}, 2**70]
    found, faults = column(values, pa.int64())
    assert (found, sorted(faults)) == ([1, 2, None, 1, None, None, None, None], [2, 5, 6, 7])
    found, faults = column(values, pa.string())
    assert found == ["1", "2", "2.5", "true", None, "[3]", '{"a":1}', str(2**70)]
    assert faults == {}


def test_nested_columns_as_text() -> None:
    values = pa.array([{"a": [1, None]}, None])
    assert column(values, values.type) == ([{"a": [1, None]}, None], {})
    found, faults = column(pa.array([{"a": 1}, "x"][:1]), pa.string())
    assert faults == {}
    assert isinstance(found[0], str)


def test_a_column_that_the_file_lacks_is_null() -> None:
    array, faults = kept_column(chunk(pa.record_batch({"y": [1, 2]})), pa.field("x", pa.float32()))
    assert (array.to_pylist(), array.type, faults) == ([None, None], pa.float32(), {})


def texts(*values: bytes) -> pa.Array:
    """Texts that Parquet files may hold, and Arrow does not look at."""
    offsets = np.cumsum([0, *map(len, values)]).astype(np.int32)
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(b"".join(values)))


def test_broken_utf_8_is_a_fault_of_its_row_alone() -> None:
    values = texts(b"good", b"\xff", "Łódź".encode())
    for given in (values, values.cast(pa.binary()), values.dictionary_encode()):
        found, faults = column(given, pa.string())
        assert (found, list(faults)) == (["good", None, "Łódź"], [1])


def test_times_that_python_has_no_value_for() -> None:
    values = pa.array([1, 1_000, 2**62], pa.timestamp("ns"))
    found, faults = column(values, pa.timestamp("us"))
    assert list(faults) == [0, 2] if 2**62 % 1000 else [0]
    assert found[0] is None
    assert found[1] is not None
    found, faults = column(values, pa.string())
    assert (found[0], faults) == ("1970-01-01 00:00:00.000000001", {})
