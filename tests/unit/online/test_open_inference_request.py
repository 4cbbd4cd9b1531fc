from __future__ import annotations

import json
import math
import re
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.errors import InvalidInput, TooManyRows
from engine.feature import Number
from engine.space import FeatureSpace
from online.open_inference.request import InferRequest, parse_request
from tests.support.open_inference import Inputs, byte_strings, infer_body
from tests.support.synthetic import numbers_space, synthetic_schema, synthetic_space

SCHEMA, SPACE, NUMBERS = synthetic_schema(), synthetic_space(), numbers_space()
VECTORS = np.arange(12, dtype="<f4").reshape(2, 2, 3)
FINITE: Inputs = {
    "city": ("BYTES", [2], byte_strings("Zürich", "東京")),
    "plan": ("BYTES", [2, 1], [["pro"], ["7"]]),
    "age": ("INT64", [2], struct.pack("<2q", 33, 7)),
    "size": ("UINT8", [2, 1], [1, 2]),
}
ENDLESS: Inputs = {
    "price": ("FP64", [2], struct.pack("<2d", 0.1, -2.5)),
    "plan": ("INT16", [2], struct.pack("<2h", 7, 7)),
    "vector": ("FP32", [2, 2, 3], VECTORS.tobytes()),
    "distance": ("FP16", [2], np.array([1.5, -2], "<f2").tobytes()),
}
BODY, HEADER = infer_body(FINITE)
# Parts of requests that tests change, and how they must look to pass.
Json = dict[str, Any]


def parse(body: bytes, header: str | None = None, space: FeatureSpace = SPACE, max_rows: int = 10) -> InferRequest:
    return parse_request(body, header, space, SCHEMA, max_rows=max_rows)


def rows_of(inputs: Inputs, space: FeatureSpace) -> list[Json]:
    found: list[Json] = parse(*infer_body(inputs), space=space).table().to_pylist()
    return found


def document(**fields: Any) -> Json:
    """A good request in JSON alone, with fields of it replaced."""
    data = {"city": ["Zürich"], "plan": ["pro"], "size": ["1"]}
    inputs: list[Json] = [{"name": n, "datatype": "BYTES", "shape": [1], "data": d} for n, d in data.items()]
    inputs.append({"name": "age", "datatype": "INT8", "shape": [1], "data": [3]})
    return {"inputs": inputs, **fields}


def nested(depth: int) -> list[Any]:
    found: list[Any] = [1]
    for _ in range(depth):
        found = [found]
    return found


def refused(body: bytes, header: str | None = None, space: FeatureSpace = SPACE, max_rows: int = 10) -> InvalidInput:
    with pytest.raises(InvalidInput) as raised:
        parse(body, header, space, max_rows).table()
    return raised.value


def test_binary_and_json_stand_side_by_side() -> None:
    assert rows_of(FINITE, SPACE) == [
        {"city": "Zürich", "plan": "pro", "age": 33, "size": 1},
        {"city": "東京", "plan": "7", "age": 7, "size": 2},
    ]


def test_numbers_of_every_width() -> None:
    assert rows_of(ENDLESS, NUMBERS) == [
        {"price": 0.1, "plan": 7, "vector": [0, 1, 2, 3, 4, 5], "distance": 1.5},
        {"price": -2.5, "plan": 7, "vector": [6, 7, 8, 9, 10, 11], "distance": -2},
    ]


def test_tensors_may_be_flat_or_nested() -> None:
    for data in (VECTORS.tolist(), VECTORS.reshape(-1).tolist()):
        inputs: Inputs = {**ENDLESS, "vector": ("FP64", [2, 2, 3], data)}
        assert [row["vector"] for row in rows_of(inputs, NUMBERS)] == VECTORS.reshape(2, 6).tolist()


@pytest.mark.parametrize(
    "datatype, packed, values",
    [
        ("BOOL", b"\x01\x00", [True, False]),
        ("INT8", struct.pack("<2b", -1, 7), [-1, 7]),
        ("INT32", struct.pack("<2i", -(1 << 31), 7), [-(1 << 31), 7]),
        ("UINT16", struct.pack("<2H", 65535, 0), [65535, 0]),
        ("UINT32", struct.pack("<2I", (1 << 32) - 1, 0), [(1 << 32) - 1, 0]),
        ("UINT64", struct.pack("<2Q", (1 << 64) - 1, 0), [(1 << 64) - 1, 0]),
        ("FP32", struct.pack("<2f", 0.5, -2), [0.5, -2.0]),
        ("BYTES", byte_strings("0.5", "-2e1"), ["0.5", "-2e1"]),
        ("BYTES", byte_strings("", ""), ["", ""]),
    ],
)
def test_binary_means_what_json_does(datatype: str, packed: bytes, values: list[object]) -> None:
    space = FeatureSpace([Number("x")])
    for data in (packed, values, [[value] for value in values]):
        # JSON of every length before it: the data need not be aligned.
        for filler in range(8):
            body, header = infer_body({"x": (datatype, [2, 1], data)}, id="x" * filler)
            assert parse(body, header, space).table()["x"].to_pylist() == values


def test_what_is_not_said_is_everything_in_json() -> None:
    asked = parse(BODY, HEADER)
    assert (asked.id, asked.timeout_s, asked.outputs) == (None, None, {"click": False, "share": False})


def test_outputs_are_asked_one_by_one() -> None:
    outputs = [{"name": "share"}, {"name": "click", "parameters": {"binary_data": False}}]
    parameters = {"binary_data_output": True, "timeout": 1_500_000, "priority": 3, "my_own": "x"}
    asked = parse(*infer_body(FINITE, id="42", outputs=outputs, parameters=parameters))
    assert (asked.id, asked.timeout_s) == ("42", 1.5)
    assert list(asked.outputs.items()) == [("share", True), ("click", False)]


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"inputs": None}, "'inputs' must be a list of tensors, .*city.*; got null"),
        ({"inputs": []}, "got a list with nothing in it"),
        ({"inputs": ["city"]}, "each of 'inputs' must be an object with a name; got a text"),
        ({"inputs": [{"name": 7}]}, "each of 'inputs' must be an object with a name"),
        ({"id": 42}, "'id' must be a text; got a number"),
        ({"parameters": []}, "'parameters' of the request must be an object"),
        ({"parameters": {"sequence_id": 3}}, "must ask for one request at a time.*; got the parameter sequence_id"),
        ({"parameters": {"binary_data_output": 1}}, "binary_data_output must be true or false; got a number"),
        ({"parameters": {"timeout": -1}}, "timeout must be a number of microseconds, 0 for none; got -1"),
        ({"parameters": {"timeout": "1s"}}, "timeout must be .*; got a text"),
        ({"outputs": {}}, "'outputs' must be a list of outputs"),
        ({"outputs": [{"name": "clicks"}]}, "output 'clicks' must be one of click, share"),
        ({"outputs": [{"name": "click"}] * 2}, "output 'click' must be one of click, share, and given once"),
        ({"outputs": [{"name": "click", "parameters": {"classification": 2}}]}, "without classification"),
        ({"outputs": [{"name": "click", "parameters": {"shared_memory_region": "x"}}]}, "not in shared memory"),
    ],
)
def test_bad_fields(fields: Json, message: str) -> None:
    parse(json.dumps(document()).encode())
    error = refused(json.dumps(document(**fields)).encode())
    assert error.cause == "bad_body"
    assert re.search(message, str(error)), str(error)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"name": "town"}, "feature 'town' must be one of city, plan, age, size. Remove it"),
        ({"name": "city"}, "feature 'city' must be given once; got it twice"),
        ({"datatype": "INT4"}, "feature 'age' must have a datatype of BOOL, .*BYTES; got 'INT4'"),
        ({"datatype": None}, "got null"),
        ({"shape": 1}, r"feature 'age' must have shape \[N\] or \[N, 1\] with N at least 1; got a number"),
        ({"shape": []}, r"must have shape .*; got \[\]"),
        ({"shape": [0]}, r"must have shape .*; got \[0\]"),
        ({"shape": [-1]}, r"must have shape .*; got \[-1\]"),
        ({"shape": [True]}, "must have shape .*; got a list of others than integers"),
        ({"shape": [1.0]}, "must have shape .*; got a list of others than integers"),
        ({"shape": nested(900)}, "must have shape .*; got a list of others than integers"),
        ({"data": nested(900)}, "must be integers as INT8; got a list"),
        ({"shape": [1, 2]}, r"must have shape .*; got \[1, 2\]"),
        ({"shape": [2]}, "feature 'age' must have 1 rows, as 'city'; got 2"),
        ({"data": None}, "must have either data or the parameter binary_data_size; got neither"),
        ({"data": 3}, "must have a list of elements as data; got a number"),
        ({"data": [3, 4]}, r"must be the 1 elements of shape \[1\]; got 2"),
        ({"data": [[3]]}, "must be integers as INT8; got a list"),
        ({"data": [[3, 4]], "shape": [1, 1]}, "must be nested as .*; got a list of 2 for one of 1"),
        ({"data": [300]}, "feature 'age' must be within INT8; got .*300"),
        ({"data": [1.5]}, "must be integers as INT8; got a number in row 0"),
        ({"data": [True]}, "must be integers as INT8; got a boolean in row 0"),
        ({"data": ["3"]}, "must be integers as INT8; got a text in row 0"),
        ({"data": [None]}, "must be integers as INT8; got null in row 0"),
        ({"data": [3], "datatype": "BYTES"}, "must be texts as BYTES; got a number in row 0"),
        ({"data": [1e39], "datatype": "FP32"}, r"must be within FP32; got 1e\+39"),
        ({"parameters": {"binary_data_size": 8}}, "binary_data_size; got both"),
        ({"parameters": {"binary_data_size": 8}, "data": None}, "within the 0 bytes that are left for it; got 8"),
        ({"parameters": {"binary_data_size": -1}, "data": None}, "left for it; got -1"),
        ({"parameters": {"binary_data_size": "8"}, "data": None}, "left for it; got a text"),
        ({"parameters": {"binary_data_size": 0}, "data": None}, r"must be the 1 bytes of INT8 of shape \[1\]; got 0"),
        ({"parameters": {"shared_memory_region": "x"}}, "not in shared memory; got the parameter shared_memory_region"),
    ],
)
def test_bad_inputs(change: Json, message: str) -> None:
    asked = document()
    asked["inputs"][-1].update(change)
    error = refused(json.dumps(asked).encode())
    assert re.search(message, str(error)), str(error)


def test_missing_feature() -> None:
    asked = document()
    asked["inputs"].pop()
    error = refused(json.dumps(asked).encode())
    assert str(error) == "feature 'age' must be given; got city, plan, size"
    assert (error.cause, error.feature) == ("missing_feature", "age")


@pytest.mark.parametrize("shape", [[11], [1 << 62, 1], [10**400]])
def test_too_many_rows(shape: list[int]) -> None:
    # NaN, which only Python's own reader takes, as it does integers without end.
    body, header = infer_body({"city": ("BYTES", shape, ["x"])}, parameters={"x": math.nan})
    with pytest.raises(TooManyRows, match=r"must have 10 rows or fewer; got [14]"):
        parse(body, header)


@pytest.mark.parametrize("shape", [[2, 3, 2], [2, 6], [2], [2, 2, 3, 1]])
def test_tensors_have_their_own_shape(shape: list[int]) -> None:
    error = refused(*infer_body({"vector": ("FP32", shape, VECTORS.tobytes())}), space=NUMBERS)
    assert str(error) == f"feature 'vector' must have shape [N, 2, 3] with N at least 1; got {shape}"


def test_tensors_are_not_texts() -> None:
    error = refused(*infer_body({"vector": ("BYTES", [2, 2, 3], byte_strings(*"abcdefghijkl"))}), space=NUMBERS)
    assert "FP64; got 'BYTES'" in str(error)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"inputs":' * 100_000, b"nul"])
def test_what_is_no_request(body: bytes) -> None:
    assert refused(body).cause == "bad_body"


def test_nan_is_told_by_its_feature() -> None:
    text = json.dumps(document()).replace('"INT8"', '"FP32"').replace("[3]", "[NaN]")
    faults = SPACE.encode(parse(text.encode()).table()).faults
    assert str(faults[0]) == "feature 'age' must be finite; got nan"


def test_a_seven_is_a_seven() -> None:
    seven: list[Inputs] = [
        {"plan": ("INT64", [1], struct.pack("<q", 7))},
        {"plan": ("BYTES", [1], byte_strings("7"))},
        {"plan": ("FP16", [1], [7])},
        {"plan": ("FP64", [1], [7.0])},
    ]
    others: Inputs = {"city": ("BYTES", [1], ["Zürich"]), "age": ("INT8", [1], [33]), "size": ("BYTES", [1], ["1"])}
    for plan in seven:
        asked = parse(*infer_body({**others, **plan}))
        encoded = SPACE.encode(asked.table())
        assert not encoded.faults
        assert SPACE.encode_row(asked.row()).index.tolist() == encoded.inputs.index.tolist()
        assert encoded.inputs.index[:, 0].tolist() == [0, 3, 33, 0]


@pytest.mark.parametrize(
    "header",
    ["", "x", "-1", "0", "²", "9" * 5000, f"{1:020}999", f"{1:020}" + "0" * 5000, str(len(BODY) + 1), "1_0", "+5"],
)
def test_bad_header_length(header: str) -> None:
    assert str(refused(BODY, header)).startswith("Inference-Header-Content-Length must be how many of the body's")


def test_sizes_add_up() -> None:
    assert "must add up to the 1 bytes behind the JSON; got 0" in str(
        refused(json.dumps(document()).encode() + b"x", str(len(json.dumps(document()).encode())))
    )


@pytest.mark.parametrize(
    "data, message",
    [
        (byte_strings("Zürich")[:-1], "must have 2 elements in its 10 bytes, .*; got fewer bytes"),
        (byte_strings("Zürich"), "got fewer bytes"),
        (byte_strings("Zürich", "x", "y"), "got more bytes"),
        (byte_strings("Zürich", "x")[:-1], "got fewer bytes"),
        (struct.pack("<I", 1 << 31) + b"Zuerich.", "got fewer bytes"),
        (byte_strings("東京", b"\xff"), r"row 1: feature 'city' must be text in UTF-8; got b'\\xff'"),
        (byte_strings(b"\xed\xa0\x80", b"abc"), "row 0: feature 'city' must be text in UTF-8"),
    ],
)
def test_damaged_byte_strings(data: bytes, message: str) -> None:
    error = refused(*infer_body({**FINITE, "city": ("BYTES", [2], data)}))
    assert re.search(message, str(error)), str(error)
    assert error.feature == "city"


def test_booleans_are_zero_or_one() -> None:
    error = refused(*infer_body({**FINITE, "age": ("BOOL", [2], b"\x02\x01")}))
    assert str(error) == "feature 'age' must be bytes of 0 or 1; got 2"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=8))
@example(["a" * 255, "b" * 256, "c" * 70_000])
@example(["a" * 255, "é", "x"])
@example(["\0\0\0", ""])
@example(["a\0\0\0"])
@example(["\x01\0\0\0x", "y"])
def test_byte_strings_of_any_length(values: list[str]) -> None:
    space = FeatureSpace([Number("x")])
    for times in (1, 40):  # few and many are read in different ways
        many = values * times
        body, header = infer_body({"x": ("BYTES", [len(many)], byte_strings(*many))})
        assert parse(body, header, space, max_rows=1000).table()["x"].to_pylist() == many


@pytest.mark.parametrize("before", [0, 40])
@given(st.lists(st.sampled_from([b"\0", b"\x01", b"\x02", b"\x05", b"a", b"bc"]), max_size=40), st.integers(1, 4))
def test_byte_strings_are_all_of_the_data_or_refused(before: int, pieces: list[bytes], count: int) -> None:
    data = byte_strings("x") * before + b"".join(pieces)
    count += before
    try:
        table = parse(
            *infer_body({"x": ("BYTES", [count], data)}), space=FeatureSpace([Number("x")]), max_rows=1000
        ).table()
    except InvalidInput:
        return
    values = table["x"].to_pylist()
    assert len(values) == count
    assert byte_strings(*values) == data


@settings(max_examples=400)
@given(st.data())
def test_damaged_requests_are_read_or_refused(data: st.DataObject) -> None:
    inputs, space = data.draw(st.sampled_from([(FINITE, SPACE), (ENDLESS, NUMBERS)]))
    body, header = infer_body(inputs)
    damaged = bytearray(body)
    for place in data.draw(st.lists(st.integers(0, len(body) - 1), min_size=1, max_size=4)):
        damaged[place] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.one_of(st.just(len(body)), st.integers(0, len(body))))
    length = data.draw(st.one_of(st.just(header), st.none(), st.integers(-1, len(body) + 1).map(str)))
    try:
        asked = parse(bytes(damaged[:cut]), length, space)
        table = asked.table()
    except InvalidInput:
        return
    encoded = space.encode(table)
    assert len(encoded) == asked.rows
    if asked.rows == 1 and not encoded.faults:
        alone = space.encode_row(asked.row())
        assert alone.index.tobytes() == encoded.inputs.index.tobytes()
        assert alone.number.tobytes() == encoded.inputs.number.tobytes()
