from __future__ import annotations

import pytest

from engine.errors import InvalidInput, TooManyRows
from engine.feature import Categorical
from engine.space import FeatureSpace
from online.predict_body import parse_body

SPACE = FeatureSpace([Categorical("a", ("x",)), Categorical("b", ("y",))])
ONE = FeatureSpace([Categorical("a", ("x",))])


@pytest.mark.parametrize(
    "data, rows, columnar",
    [
        (b'{"instances": [{"a": 1, "b": "y"}, {"a": null}]}', [{"a": 1, "b": "y"}, {"a": None}], False),
        (b'{"signature_name": "serving_default", "instances": [{}]}', [{}], False),
        (b'{"inputs": {"a": [1, 2], "b": ["y", "z"]}}', [{"a": 1, "b": "y"}, {"a": 2, "b": "z"}], True),
    ],
)
def test_both_forms(data: bytes, rows: list[dict[str, object]], columnar: bool) -> None:
    body = parse_body(data, SPACE, max_rows=2)
    assert (body.rows, body.columnar) == (rows, columnar)


@pytest.mark.parametrize(
    "data", [b'{"instances": ["x", "x"]}', b'{"inputs": ["x", "x"]}', b'{"inputs": {"a": ["x", "x"]}}']
)
def test_a_single_feature_needs_no_name(data: bytes) -> None:
    assert parse_body(data, ONE, max_rows=2).rows == [{"a": "x"}, {"a": "x"}]


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "got an empty body"),
        (b" \n", "got an empty body"),
        (b"{", "must be JSON in UTF-8"),
        (b'{"instances": [\xff]}', "must be JSON in UTF-8"),
        (b"[" * 5000 + b"]" * 5000, "must be JSON in UTF-8"),
        (b"[]", "must be a JSON object with 'instances' or 'inputs'; got a list with nothing in it"),
        (b"3", "got a number"),
        (b"{}", "either 'instances' or 'inputs'; got none"),
        (b'{"instance": []}', "got 'instance'"),
        (b'{"instances": [{}], "inputs": {}}', "got 'instances', 'inputs'"),
        (b'{"instances": [{}], "signature_name": "other"}', "signature_name must be 'serving_default'; got 'other'"),
        (b'{"instances": []}', "at least one row"),
        (b'{"instances": {}}', "must be a list"),
        (b'{"instances": [{}, 3]}', "row 1 of 'instances' must be an object of a, b; got a number"),
        (b'{"inputs": [1]}', "must be an object of lists"),
        (b'{"inputs": {"a": [], "b": []}}', "feature 'a' must be a list of one value a row"),
        (b'{"inputs": {"a": [1, 2], "b": [1]}}', "feature 'b' must be a list .* got 1 values"),
        (b'{"inputs": {"a": [1], "b": "y"}}', "feature 'b' must be a list .* got a text"),
    ],
)
def test_what_is_no_body_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        parse_body(data, SPACE, max_rows=2)


def test_nan_is_left_to_the_encoder_which_names_the_feature() -> None:
    (row,) = parse_body(b'{"instances": [{"a": NaN, "b": -Infinity}]}', SPACE, max_rows=1).rows
    with pytest.raises(InvalidInput, match="feature 'a' must be finite; got nan"):
        SPACE.encode_row(row)


@pytest.mark.parametrize("data", [b'{"instances": [{}, {}, {}]}', b'{"inputs": {"a": [1, 2, 3]}}'])
def test_too_many_rows(data: bytes) -> None:
    with pytest.raises(TooManyRows, match="must have 2 rows or fewer; got 3"):
        parse_body(data, SPACE, max_rows=2)
