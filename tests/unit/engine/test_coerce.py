"""Scalar and vector paths agree on random raw values: the same code, or the same cause."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.coerce import category_text, number_value
from engine.errors import InvalidInput
from engine.feature import Bucketed, Categorical, Feature, Number, Unknown
from engine.space import FeatureSpace

VOCABULARY = ("UA", "7", "0", "1", "-1", "true", "\u00fc", "7.0", "255", "65536", str(2**53))
FEATURES: list[Feature] = [
    Categorical("x", VOCABULARY),
    Categorical("x", VOCABULARY, unknown=Unknown.MODEL),
    Categorical("x", VOCABULARY, unknown=Unknown.SLOT),
    Bucketed("x", (-1.0, 0.0, 0.1, 7.0, 1e10)),
    Number("x"),
]
RAW: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-300, 300),
    st.floats(),
    st.floats(width=32),
    st.integers(-9, 9).map(float),
    st.text(max_size=5),
    st.sampled_from(VOCABULARY),
    st.from_regex(r"-?[0-9]{1,3}(\.[0-9]{0,3})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-999, max_value=999),
    st.lists(st.integers(), max_size=2),
)
ARROW_COLUMNS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.string(), st.text(max_size=4) | st.sampled_from(VOCABULARY) | st.integers().map(str)),
    (pa.int8(), st.integers(-128, 127)),
    (pa.uint8(), st.integers(0, 255)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float32(), st.floats(width=32)),
    (pa.float64(), st.floats()),
    (pa.bool_(), st.booleans()),
    (pa.dictionary(pa.int16(), pa.string()), st.sampled_from([*VOCABULARY, "nobody"])),
    (pa.decimal128(10, 2), st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-99, max_value=99)),
]


def scalar(space: FeatureSpace, value: object) -> tuple[str, int | float | str]:
    """What the path of one row makes of a value."""
    try:
        inputs = space.encode_row({"x": value})
    except InvalidInput as error:
        return "fault", f"{error.cause}: {error}"
    return "value", inputs.number[0, 0].item() if len(inputs.number) else inputs.index[0, 0].item()


def vector(space: FeatureSpace, values: list[object], column: pa.Array | None) -> list[tuple[str, int | float | str]]:
    """What the path of many rows makes of the values, given as rows or as an Arrow column."""
    rows = [{"x": value} for value in values]
    encoded = space.encode_rows(rows) if column is None else space.encode(pa.table({"x": column}))
    codes = (encoded.inputs.number if len(encoded.inputs.number) else encoded.inputs.index)[0].tolist()
    faults = encoded.faults
    return [
        ("fault", f"{faults[row].cause}: {faults[row]}") if row in faults else ("value", code)
        for row, code in enumerate(codes)
    ]


@pytest.mark.parametrize("feature", FEATURES, ids=["reject", "model", "slot", "bucket", "number"])
@settings(max_examples=60)
@given(values=st.lists(RAW, max_size=6))
def test_rows_agree_with_single_rows(feature: Feature, values: list[object]) -> None:
    space = FeatureSpace([feature])
    assert vector(space, values, None) == [scalar(space, value) for value in values]


@pytest.mark.parametrize("feature", FEATURES, ids=["reject", "model", "slot", "bucket", "number"])
@settings(max_examples=80)
@given(data=st.data())
def test_columns_agree_with_single_rows(feature: Feature, data: st.DataObject) -> None:
    kind, values_of_kind = data.draw(st.sampled_from(ARROW_COLUMNS))
    values = data.draw(st.lists(st.none() | values_of_kind, max_size=6))
    try:
        column = pa.array(values, kind)
    except UnicodeEncodeError:  # half a surrogate pair: Arrow has no such text
        return
    space = FeatureSpace([feature])
    assert vector(space, values, column) == [scalar(space, value) for value in values]


@pytest.mark.parametrize("feature", FEATURES[:4], ids=["reject", "model", "slot", "bucket"])
@settings(max_examples=80)
@given(value=RAW)
def test_ordinals_agree_with_single_rows(feature: Feature, value: object) -> None:
    space = FeatureSpace([feature])
    kind, wanted = scalar(space, value)
    if kind == "fault":
        with pytest.raises(InvalidInput) as caught:
            space.ordinal_of({"x": value})
        assert f"{caught.value.cause}: {caught.value}" == wanted
    else:
        assert isinstance(wanted, int)
        assert space.ordinal_of({"x": value}) == (wanted if wanted < space.size else -1)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_rounded_to_float32(value: float) -> None:
    with np.errstate(over="ignore"):
        narrow = np.array(value).astype(np.float32)
    if np.isinf(narrow):
        with pytest.raises(InvalidInput, match="must fit a float32"):
            number_value(value)
    else:
        assert number_value(value) == narrow.item()


@given(st.integers(-(10**30), 10**30))
def test_an_integer_is_its_digits(value: int) -> None:
    assert category_text(value) == category_text(Decimal(value)) == category_text(str(value)) == f"{value:d}"


def test_a_long_value_is_shown_in_part() -> None:
    with pytest.raises(InvalidInput) as caught:
        number_value("x" * 10_000)
    assert len(str(caught.value)) < 120
