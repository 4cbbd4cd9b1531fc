"""The shortest path reads what the long one reads, and leaves all else to it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.errors import InvalidInput
from online.open_inference.plain_row import parse_plain_row
from online.open_inference.request import parse_request
from tests.support.synthetic import synthetic_schema, synthetic_space

SPACE, SCHEMA = synthetic_space(), synthetic_schema()
ROW = {"city": "Zürich", "plan": "pro", "age": "33", "size": "1"}


def tensor(feature: str, text: str, /, **fields: Any) -> dict[str, Any]:
    return {"name": feature, "shape": [1, 1], "datatype": "BYTES", "data": [text], **fields}


def body_of(**fields: Any) -> bytes:
    """A plain request, with fields of its first tensor replaced."""
    first, *others = ROW.items()
    return json.dumps({"inputs": [tensor(*first, **fields), *(tensor(*each) for each in others)]}).encode()


@pytest.mark.parametrize("identifier", [None, "", "r-1"])
@pytest.mark.parametrize("shape", [[1], [1, 1]])
def test_reads_a_text_a_feature(identifier: str | None, shape: list[int]) -> None:
    document: dict[str, Any] = {"inputs": [tensor(*each, shape=shape) for each in ROW.items()]}
    if identifier is not None:
        document["id"] = identifier
    found = parse_plain_row(json.dumps(document, indent=1).encode(), SPACE.names)
    assert found is not None
    assert (found.id, found.row) == (identifier, ROW)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"7",
        b"{}",
        b'{"inputs": 7}',
        b'{"inputs": []}',
        b'{"inputs": ["city"]}',
        b'{"inputs": [7]}',
        body_of()[:-1],
        body_of(name="town"),
        body_of(name="plan"),
        body_of(name=7),
        body_of(name=["city"]),
        body_of(shape=[2]),
        body_of(shape=[]),
        body_of(shape=[True]),
        body_of(shape=[1, 1.0]),
        body_of(shape=1),
        body_of(datatype="FP32"),
        body_of(data="Z"),
        body_of(data=[]),
        body_of(data=["Zürich", "Zürich"]),
        body_of(data=[["Zürich"]]),
        body_of(data=[7]),
        body_of(data=[None]),
        body_of(data=["a:b"]),
        body_of(parameters={}),
        body_of().replace(b'"name": "city"', b'"name": "city", "name": "city"'),
        body_of().replace(b"}]}", b'}], "id": null}'),
        body_of().replace(b"}]}", b'}], "id": 7}'),
        body_of().replace(b"}]}", b'}], "id": 0}'),
        body_of().replace(b"}]}", b'}], "id": false}'),
        body_of().replace(b"}]}", b'}], "id": {}}'),
        body_of().replace(b"}]}", b'}], "id": ["a"]}'),
        body_of().replace(b"}]}", b'}], "outputs": []}'),
        body_of().replace(b"}]}", b'}], "parameters": {}}'),
        body_of().replace(b"}]}", b'}], "inputs": []}'),
    ],
)
def test_leaves_others_to_the_long_path(body: bytes) -> None:
    assert parse_plain_row(body, SPACE.names) is None


# By field: what the short path reads, and what looks much like it.
NEARLY: dict[str, list[Any]] = {
    "name": ["city", "plan", "town", 7],
    "shape": [[1], [1, 1], [True], [1, 1.0], [1, True], [2], [], [[1]], 1],
    "datatype": ["BYTES", "FP32", None],
    "data": [["Zürich"], ["a:b"], [""], ["7"], [["Zürich"]], [7], [None], ["a", "b"], [], "Z", {"Z": 1}],
    "parameters": [{}, None],
}
BESIDE: dict[str, list[Any]] = {
    "id": ["", "r-1", "a:b", None, 0, False, 0.0, [], {}, 7],
    "parameters": [{}, None, {"binary_data_output": False}],
    "outputs": [[], None],
    "x": [1],
}


@pytest.mark.parametrize("field, value", [(field, value) for field, values in NEARLY.items() for value in values])
@pytest.mark.parametrize("place", range(len(ROW)))
def test_tensor_is_read_as_the_long_path_reads_it(place: int, field: str, value: Any) -> None:
    inputs = [tensor(*each) for each in ROW.items()]
    inputs[place][field] = value
    assert_alike({"inputs": inputs})


@pytest.mark.parametrize("field, value", [(field, value) for field, values in BESIDE.items() for value in values])
def test_what_stands_beside_is_read_as_the_long_path_reads_it(field: str, value: Any) -> None:
    assert_alike({"inputs": [tensor(*each) for each in ROW.items()], field: value})


def assert_alike(document: dict[str, Any]) -> None:
    """Assert that the short path reads nothing, or what the long one reads."""
    body = json.dumps(document).encode()
    found = parse_plain_row(body, SPACE.names)
    if found is not None:
        asked = parse_request(body, None, SPACE, SCHEMA, max_rows=10)
        assert (asked.id, asked.row(), asked.timeout_s) == (found.id, found.row, None)
        assert asked.outputs == {"click": False, "share": False}
        assert asked.rows == 1


def test_half_a_surrogate_pair_is_refused_by_the_long_path() -> None:
    body = body_of(data=["\\ud800"]).replace(b"\\\\", b"\\")
    assert parse_plain_row(body, SPACE.names) is None
    with pytest.raises(InvalidInput):
        parse_request(body, None, SPACE, SCHEMA, max_rows=10).row()
