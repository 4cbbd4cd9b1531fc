"""The coercion table of ``engine.coerce``, row by row, through every path that takes raw values.

Each path is one subclass: what it cannot be given (JSON has no decimals) it declares in ``carries``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.encoded import Encoded
from engine.errors import InvalidInput
from engine.feature import Bucketed, Categorical, Feature, Number
from engine.inputs import Inputs
from engine.space import FeatureSpace

# The categories stand at the position of their text; the numbers are told apart by a bucket for each.
VOCABULARY = ("UA", "7", "0", "7.0", "07", "true", "Zu\u0308rich", "-3", str(2**53), str(2**64), "1", "6.0")
CATEGORY = Categorical("x", VOCABULARY)
EDGES = (-3.0, 0.0, 1.0, 7.0, 7.5, 1e30)
BUCKET = Bucketed("x", EDGES)
NUMBER = Number("x")

# raw value -> (text of the category, or cause), (number, or cause)
Outcome = str | float
COMMON: list[tuple[str, object, Outcome, Outcome]] = [
    ("text", "UA", "UA", "wrong_type"),
    ("NFC text", "Z\u00fcrich", "Zu\u0308rich", "wrong_type"),
    ("NFD text", "Zu\u0308rich", "Zu\u0308rich", "wrong_type"),
    ("unknown text", "nobody", "unknown_category", "wrong_type"),
    ("empty text", "", "unknown_category", "wrong_type"),
    ("half a surrogate pair", "\ud800", "unknown_category", "wrong_type"),
    ("integer", 7, "7", 7.0),
    ("negative integer", -3, "-3", -3.0),
    ("integer past 2^53", 2**53, str(2**53), float(2**53)),
    ("integer past 2^63", 2**64, str(2**64), float(2**64)),
    ("integer past float32", 10**39, "unknown_category", "out_of_range"),
    ("integer past float64", 10**400, "unknown_category", "out_of_range"),
    ("text of an integer", "7", "7", 7.0),
    ("whole float", 7.0, "7", 7.0),
    ("minus zero", -0.0, "0", 0.0),
    ("whole float past 2^53", 2.0**53, "wrong_type", float(2**53)),
    ("text of a float", "7.0", "7.0", 7.0),
    ("text with an exponent", "7e0", "unknown_category", 7.0),
    ("text of minus zero", "-0", "unknown_category", 0.0),
    ("text that underflows", "1e-999", "unknown_category", 0.0),
    ("text past float32", "1e39", "unknown_category", "out_of_range"),
    ("text past float64", "1e999", "unknown_category", "out_of_range"),
    ("text with a leading zero", "07", "07", "wrong_type"),
    ("text with a sign", "+7", "unknown_category", "wrong_type"),
    ("text with a space", " 7", "unknown_category", "wrong_type"),
    ("text with a line end", "7\n", "unknown_category", "wrong_type"),
    ("text of other digits", "\u0667", "unknown_category", "wrong_type"),
    ("text of a bare point", "7.", "unknown_category", "wrong_type"),
    ("text nan", "NaN", "unknown_category", "wrong_type"),
    ("text inf", "Infinity", "unknown_category", "wrong_type"),
    ("fraction", 7.5, "wrong_type", 7.5),
    ("true", True, "true", "wrong_type"),
    ("false", False, "unknown_category", "wrong_type"),
    ("null", None, "null", "null"),
    ("nan", math.nan, "not_finite", "not_finite"),
    ("infinity", math.inf, "not_finite", "not_finite"),
    ("float past float32", 1e39, "wrong_type", "out_of_range"),
    ("list", [7], "wrong_type", "wrong_type"),
    ("empty list", [], "wrong_type", "wrong_type"),
    ("object", {"a": 7}, "wrong_type", "wrong_type"),
]
PYTHON: list[tuple[str, object, Outcome, Outcome]] = [
    ("decimal", Decimal(7), "7", 7.0),
    ("decimal of a whole", Decimal("7.0"), "7", 7.0),
    ("decimal past 2^53", Decimal(2**64), str(2**64), float(2**64)),
    ("fractional decimal", Decimal("7.5"), "wrong_type", 7.5),
    ("bytes", b"UA", "wrong_type", "wrong_type"),
    ("complex", 7 + 0j, "wrong_type", "wrong_type"),
    ("time", datetime(2026, 1, 1, tzinfo=UTC), "wrong_type", "wrong_type"),
    ("numpy bool", np.bool_(True), "true", "wrong_type"),
    ("numpy integer", np.int8(7), "7", 7.0),
    ("numpy unsigned", np.uint64(2**53), str(2**53), float(2**53)),
    ("numpy float16", np.float16(7), "7", 7.0),
    ("numpy float32", np.float32(7.5), "wrong_type", 7.5),
    ("numpy nan", np.float32(math.nan), "not_finite", "not_finite"),
]


def bucket_of(number: float) -> int:
    """The bucket, counted edge by edge."""
    return sum(edge <= number for edge in EDGES)


def index_of(text: str) -> int | None:
    """The index of a category of the vocabulary, or None."""
    return VOCABULARY.index(text) if text in VOCABULARY else None


def ids(cases: list[tuple[str, object, Outcome, Outcome]]) -> list[str]:
    return [case[0] for case in cases]


class RawValues:
    """The suite: one raw value in, an index, a number or a cause out."""

    def encode(self, feature: Feature, value: object) -> int | float:
        """Return the encoded value; raise what the path raises or reports."""
        raise NotImplementedError

    def check(self, feature: Feature, value: object, wanted: Outcome | int) -> None:
        if isinstance(wanted, str):
            with pytest.raises(InvalidInput) as caught:
                self.encode(feature, value)
            assert caught.value.cause == wanted
            assert caught.value.feature == "x"
            assert str(caught.value).startswith("feature 'x' must ")
        else:
            assert self.encode(feature, value) == wanted

    @pytest.mark.parametrize("case", COMMON + PYTHON, ids=ids(COMMON + PYTHON))
    def test_category(self, case: tuple[str, object, Outcome, Outcome]) -> None:
        _, value, wanted, _ = case
        assert isinstance(wanted, str)
        place = index_of(wanted)
        self.check(CATEGORY, value, wanted if place is None else place)

    @pytest.mark.parametrize("case", COMMON + PYTHON, ids=ids(COMMON + PYTHON))
    def test_bucket(self, case: tuple[str, object, Outcome, Outcome]) -> None:
        _, value, _, wanted = case
        self.check(BUCKET, value, wanted if isinstance(wanted, str) else bucket_of(wanted))


class NumberValues(RawValues):
    """With numbers as they are, for paths that take a space that is not finite."""

    @pytest.mark.parametrize("case", COMMON + PYTHON, ids=ids(COMMON + PYTHON))
    def test_number(self, case: tuple[str, object, Outcome, Outcome]) -> None:
        _, value, _, wanted = case
        self.check(NUMBER, value, wanted)

    @pytest.mark.parametrize("value", [-0.0, "-0", "-0.0", -1e-60])
    def test_minus_zero_is_zero(self, value: object) -> None:
        assert math.copysign(1, self.encode(NUMBER, value)) == 1.0


class TestEncodeRow(NumberValues):
    def encode(self, feature: Feature, value: object) -> int | float:
        return first(FeatureSpace([feature]).encode_row({"x": value}))


class TestOrdinalOf(RawValues):
    def encode(self, feature: Feature, value: object) -> int | float:
        return FeatureSpace([feature]).ordinal_of({"x": value})


class TestEncodeRowsAlone(NumberValues):
    def encode(self, feature: Feature, value: object) -> int | float:
        return only(FeatureSpace([feature]).encode_rows([{"x": value}]))


class TestEncodeRowsAmongMixedTypes(NumberValues):
    """Beside texts, integers, booleans and null, so that no Arrow type fits the column."""

    def encode(self, feature: Feature, value: object) -> int | float:
        rows: list[dict[str, object]] = [{"x": other} for other in ("7", 7, True, None, 7.0)]
        return only(FeatureSpace([feature]).encode_rows([*rows, {"x": value}]), 5)


class TestEncodeRowsAmongEqualTypes(NumberValues):
    """Between two of its own and a null, so that an Arrow column is likely."""

    def encode(self, feature: Feature, value: object) -> int | float:
        rows: list[dict[str, object]] = [{"x": value}, {"x": None}, {"x": value}]
        encoded = FeatureSpace([feature]).encode_rows(rows)
        assert encoded.faults[1].cause == "null"
        assert not encoded.ok[1]
        return only(encoded, 2)


def dictionary(indices: list[int], entries: list[str | None]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int8()), pa.array(entries, pa.string()))


def far_decimal() -> pa.Array:
    """One with more zeros behind it than Arrow writes out."""
    return pa.Array.from_buffers(pa.decimal128(38, -100_000), 1, [None, pa.py_buffer(bytes([1, *[0] * 15]))])


def broken_utf8() -> pa.Array:
    buffers = pa.array([b"\xff\xfe"]).buffers()
    return pa.StringArray.from_buffers(1, buffers[1], buffers[2])


# The raw value as each Arrow type that can carry it: label, how to make the column, outcomes as in ``COMMON``.
ARROW: list[tuple[str, Callable[[], pa.Array], Any, Any]] = [
    *[
        (f"{text!r} as {kind}", partial(pa.array, [text], kind), as_category, as_number)
        for text, as_category, as_number in [
            ("UA", "UA", "wrong_type"),
            ("Z\u00fcrich", "Zu\u0308rich", "wrong_type"),
            ("Zu\u0308rich", "Zu\u0308rich", "wrong_type"),
            ("7", "7", 7.0),
            ("7.0", "7.0", 7.0),
            ("07", "07", "wrong_type"),
            ("7\n", "unknown_category", "wrong_type"),
            ("-0", "unknown_category", 0.0),
            ("1e39", "unknown_category", "out_of_range"),
            ("1e999", "unknown_category", "out_of_range"),
            ("nobody", "unknown_category", "wrong_type"),
            (None, "null", "null"),
        ]
        for kind in (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string()))
    ],
    *[
        (f"{value} as {kind}", partial(pa.array, [value], kind), as_category, as_number)
        for value, as_category, as_number in [(7, "7", 7.0), (5, "unknown_category", 5.0), (None, "null", "null")]
        for kind in (
            *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
            pa.dictionary(pa.int32(), pa.int64()),
        )
    ],
    ("2^53 as int64", lambda: pa.array([2**53], pa.int64()), str(2**53), float(2**53)),
    ("2^64 - 1 as uint64", lambda: pa.array([2**64 - 1], pa.uint64()), "unknown_category", float(2**64)),
    *[
        (f"{value} as {kind}", partial(pa.array, [value], kind), as_category, as_number)
        for value, as_category, as_number in [
            (7.0, "7", 7.0),
            (7.5, "wrong_type", 7.5),
            (-0.0, "0", 0.0),
            (math.nan, "not_finite", "not_finite"),
            (math.inf, "not_finite", "not_finite"),
            (-math.inf, "not_finite", "not_finite"),
            (None, "null", "null"),
        ]
        for kind in (pa.float16(), pa.float32(), pa.float64(), pa.dictionary(pa.int8(), pa.float64()))
    ],
    ("1e39 as double", lambda: pa.array([1e39]), "wrong_type", "out_of_range"),
    ("true as bool", lambda: pa.array([True]), "true", "wrong_type"),
    ("null as bool", lambda: pa.array([None], pa.bool_()), "null", "null"),
    ("null as null", lambda: pa.nulls(1), "null", "null"),
    ("7 as decimal128", lambda: pa.array([Decimal(7)], pa.decimal128(5, 2)), "7", 7.0),
    ("7.5 as decimal128", lambda: pa.array([Decimal("7.5")], pa.decimal128(5, 2)), "wrong_type", 7.5),
    ("2^64 as decimal256", lambda: pa.array([Decimal(2**64)], pa.decimal256(40, 0)), str(2**64), float(2**64)),
    ("decimal that Python has not", far_decimal, "wrong_type", "wrong_type"),
    ("list", lambda: pa.array([[7]]), "wrong_type", "wrong_type"),
    ("struct", lambda: pa.array([{"a": 7}]), "wrong_type", "wrong_type"),
    ("binary", lambda: pa.array([b"UA"]), "wrong_type", "wrong_type"),
    ("timestamp in s", lambda: pa.array([7], pa.timestamp("s")), "wrong_type", "wrong_type"),
    ("timestamp in ns", lambda: pa.array([7], pa.timestamp("ns")), "wrong_type", "wrong_type"),
    ("timestamp that Python has not", lambda: pa.array([2**60], pa.timestamp("s")), "wrong_type", "wrong_type"),
    ("date that Python has not", lambda: pa.array([10**9], pa.date32()), "wrong_type", "wrong_type"),
    ("null as timestamp", lambda: pa.array([None], pa.timestamp("s")), "null", "null"),
    ("dictionary of null", lambda: dictionary([0], [None]), "null", "null"),
    ("broken UTF-8", broken_utf8, "wrong_type", "wrong_type"),
]


class ArrowValues:
    """The suite for Arrow columns."""

    def column(self, array: pa.Array) -> Any:
        raise NotImplementedError

    def encode(self, feature: Feature, array: pa.Array) -> Encoded:
        return FeatureSpace([feature]).encode(pa.table({"x": self.column(array)}))

    def check(self, feature: Feature, array: pa.Array, wanted: Outcome) -> None:
        encoded = self.encode(feature, array)
        for row in (0, len(encoded) - 1):
            if isinstance(wanted, str):
                assert encoded.faults[row].cause == wanted
                assert encoded.faults[row].feature == "x"
                assert value_at(encoded.inputs, row) == 0
            else:
                assert row not in encoded.faults
                assert value_at(encoded.inputs, row) == wanted

    @pytest.mark.parametrize("case", ARROW, ids=[case[0] for case in ARROW])
    def test_category(self, case: tuple[str, Callable[[], pa.Array], Outcome, Outcome]) -> None:
        _, make, wanted, _ = case
        assert isinstance(wanted, str)
        place = index_of(wanted)
        self.check(CATEGORY, make(), wanted if place is None else place)

    @pytest.mark.parametrize("case", ARROW, ids=[case[0] for case in ARROW])
    def test_bucket(self, case: tuple[str, Callable[[], pa.Array], Outcome, Outcome]) -> None:
        _, make, _, wanted = case
        self.check(BUCKET, make(), wanted if isinstance(wanted, str) else bucket_of(wanted))

    @pytest.mark.parametrize("case", ARROW, ids=[case[0] for case in ARROW])
    def test_number(self, case: tuple[str, Callable[[], pa.Array], Outcome, Outcome]) -> None:
        _, make, _, wanted = case
        self.check(NUMBER, make(), wanted)


class TestArrowColumn(ArrowValues):
    def column(self, array: pa.Array) -> Any:
        return array


class TestArrowChunks(ArrowValues):
    """In two chunks, the second a slice of a longer array."""

    def column(self, array: pa.Array) -> Any:
        return pa.chunked_array([array, pa.concat_arrays([array, array]).slice(1)])


def test_an_entry_that_no_row_uses_is_no_fault() -> None:
    encoded = FeatureSpace([CATEGORY]).encode(pa.table({"x": dictionary([1, 1], ["nobody", "UA"])}))
    assert not encoded.faults
    assert encoded.inputs.index.tolist() == [[0, 0]]


def test_each_of_many_bad_values_has_its_own_fault() -> None:
    encoded = FeatureSpace([CATEGORY]).encode(pa.table({"x": [f"nobody {row}" for row in range(20_000)]}))
    assert len(encoded.faults) == 20_000
    assert "'nobody 77'" in str(encoded.faults[77])


def first(inputs: Inputs) -> int | float:
    assert len(inputs) == 1
    return value_at(inputs, 0)


def only(encoded: Encoded, row: int = 0) -> int | float:
    """The encoded value of one row; its fault is raised."""
    if row in encoded.faults:
        assert not encoded.ok[row]
        assert value_at(encoded.inputs, row) == 0
        raise encoded.faults[row]
    assert encoded.ok[row]
    return value_at(encoded.inputs, row)


def value_at(inputs: Inputs, row: int) -> int | float:
    return float(inputs.number[0, row]) if len(inputs.number) else int(inputs.index[0, row])
