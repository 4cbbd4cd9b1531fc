"""The feature space: names, faults, numbering and the fingerprint."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.errors import BadSettings, InvalidInput
from engine.feature import Bucketed, Categorical, Feature, Number, Tensor, Unknown
from engine.space import FeatureSpace

SPACE = FeatureSpace(
    [
        Categorical("carrier", ("UA", "AA", "Z\u00fcrich Air")),
        Categorical("origin", ("JFK", "LGA"), unknown=Unknown.MODEL),
        Bucketed("hour", (6.0, 12.5)),
        Categorical("stops", ("0", "1"), unknown=Unknown.SLOT),
    ]
)
MIXED = FeatureSpace(
    [Number("price"), Categorical("carrier", ("UA", "AA")), Tensor("map", shape=(2, 3)), Number("age")]
)
GOOD: dict[str, Any] = {"carrier": "AA", "origin": "LGA", "hour": 7, "stops": 0}
MIXED_GOOD: dict[str, Any] = {"price": "1.5", "carrier": "AA", "map": [[1, 2, 3], [4, 5, 6]], "age": -0.0}


def test_the_fingerprint_stays_what_it_was() -> None:
    # Written down once. If this changes, every published bundle and table is of "another" space: a format change.
    assert SPACE.fingerprint == "016df30394042d00ea8cda023b284167b0e868e146506ef3b0cca72174131901"
    assert MIXED.fingerprint == "0cac089d059e0a7094fe393a3e483cc0a80662a3d1b7457356dc9ddc26d85736"


def test_the_fingerprint_tells_declarations_apart() -> None:
    spaces: list[list[Feature]] = [
        [Categorical("a", ("x", "y")), Categorical("b", ("x",))],
        [Categorical("b", ("x",)), Categorical("a", ("x", "y"))],
        [Categorical("a", ("y", "x")), Categorical("b", ("x",))],
        [Categorical("a", ("x", "y")), Categorical("b", ("x",), unknown=Unknown.SLOT)],
        [Categorical("a", ("x", "y")), Bucketed("b", (1.0,))],
        [Categorical("a", ("x", "y")), Number("b")],
        [Categorical("a", ("x", "y")), Tensor("b", shape=(1,))],
        [Categorical("a", ("x", "y")), Tensor("b", shape=(1, 1))],
    ]
    assert len({FeatureSpace(features).fingerprint for features in spaces}) == len(spaces)


@pytest.mark.parametrize("space", [SPACE, MIXED])
def test_json_goes_there_and_back(space: FeatureSpace) -> None:
    again = FeatureSpace.from_json(json.loads(json.dumps(space.to_json())))
    assert again.fingerprint == space.fingerprint
    assert again.features == space.features


def test_every_row_has_its_ordinal() -> None:
    assert SPACE.size == 3 * 2 * 3 * 3
    rows = [SPACE.row(ordinal) for ordinal in range(SPACE.size)]
    assert [SPACE.ordinal_of(row) for row in rows] == list(range(SPACE.size))
    encoded = SPACE.encode_rows(rows)
    assert not encoded.faults
    assert SPACE.ordinals(encoded.inputs).tolist() == list(range(SPACE.size))
    assert SPACE.inputs_of(0, SPACE.size).index.tolist() == encoded.inputs.index.tolist()
    table = pa.Table.from_pylist(rows)
    assert SPACE.encode(table).inputs.index.tolist() == encoded.inputs.index.tolist()
    single = [SPACE.encode_row(row).index[:, 0].tolist() for row in rows]
    assert single == encoded.inputs.index.T.tolist()


def test_an_ordinal_counts_as_an_odometer() -> None:
    assert SPACE.ordinal_of(GOOD) == ((1 * 2 + 1) * 3 + 1) * 3 + 0


def test_a_space_past_32_bits() -> None:
    space = FeatureSpace([Categorical(f"f{number}", tuple(map(str, range(300)))) for number in range(4)])
    assert space.size == 300**4 > 2**32
    row = {"f0": "299", "f1": 298, "f2": 297.0, "f3": "296"}
    wanted = ((299 * 300 + 298) * 300 + 297) * 300 + 296
    assert space.ordinal_of(row) == wanted
    assert space.ordinals(space.encode_row(row)).tolist() == [wanted]
    assert space.row(wanted) == {"f0": "299", "f1": "298", "f2": "297", "f3": "296"}
    assert space.inputs_of(wanted - 1, wanted + 1).index.T.tolist() == [[299, 298, 297, 295], [299, 298, 297, 296]]


def test_unknown_reject_is_a_fault() -> None:
    row = {**GOOD, "carrier": "DL"}
    with pytest.raises(
        InvalidInput, match="feature 'carrier' must be one of UA, AA, Z\u00fcrich Air; got 'DL'"
    ) as caught:
        SPACE.encode_row(row)
    assert (caught.value.cause, caught.value.feature) == ("unknown_category", "carrier")
    with pytest.raises(InvalidInput, match="'DL'"):
        SPACE.ordinal_of(row)


def test_unknown_model_is_an_index_and_a_miss() -> None:
    row = {**GOOD, "origin": "EWR"}
    assert SPACE.encode_row(row).index[1].tolist() == [2]
    assert SPACE.ordinal_of(row) == -1
    assert SPACE.ordinals(SPACE.encode_rows([GOOD, row]).inputs).tolist() == [SPACE.ordinal_of(GOOD), -1]


def test_unknown_slot_is_in_the_table() -> None:
    row = {**GOOD, "stops": "many"}
    assert SPACE.encode_row(row).index[3].tolist() == [2]
    assert SPACE.ordinal_of(row) == SPACE.ordinal_of(GOOD) + 2


ROW_FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "missing_feature", "carrier"),
    ({**GOOD, "extra": 1}, "extra_feature", "extra"),
    ({name: value for name, value in GOOD.items() if name != "hour"}, "missing_feature", "hour"),
    ({"carrier": None, "origin": "LGA", "hour": 7}, "missing_feature", "stops"),
    ({**GOOD, "carrier": None, "extra": 1}, "extra_feature", "extra"),
    ({**GOOD, "carrier": "DL", "hour": None}, "unknown_category", "carrier"),
    ({**GOOD, "origin": "EWR", "hour": None}, "null", "hour"),
    ({**GOOD, "origin": "EWR", "extra": 1}, "extra_feature", "extra"),
    ({**GOOD, "origin": ["EWR"]}, "wrong_type", "origin"),
    ({**GOOD, "hour": "noon"}, "wrong_type", "hour"),
]


@pytest.mark.parametrize("row, cause, feature", ROW_FAULTS)
def test_a_row_has_the_same_fault_on_every_path(row: dict[str, Any], cause: str, feature: str) -> None:
    for encode in (SPACE.encode_row, SPACE.ordinal_of):
        with pytest.raises(InvalidInput) as caught:
            encode(row)
        assert (caught.value.cause, caught.value.feature) == (cause, feature)
    encoded = SPACE.encode_rows([GOOD, row, GOOD])
    assert {number: (error.cause, error.feature) for number, error in encoded.faults.items()} == {1: (cause, feature)}
    assert encoded.ok.tolist() == [True, False, True]
    assert encoded.inputs.index[:, 0].tolist() == encoded.inputs.index[:, 2].tolist() == [1, 1, 1, 0]


@pytest.mark.parametrize("others", [[], ["Zu\u0308rich Air"], ["UA", "Zu\u0308rich Air", "AA"]])
def test_texts_of_rows_are_what_each_is_alone(others: list[str]) -> None:
    """Those that are categories as they stand, and one that is only once it is normalised."""
    rows = [{**GOOD, "carrier": carrier} for carrier in ["AA", "UA", "Z\u00fcrich Air", *others]]
    encoded = SPACE.encode_rows(rows)
    assert not encoded.faults
    assert encoded.inputs.index.tolist() == np.hstack([SPACE.encode_row(row).index for row in rows]).tolist()
    assert encoded.inputs.index[0].tolist() == [1, 0, 2, *[{"U": 0, "A": 1, "Z": 2}[other[0]] for other in others]]


def test_a_column_that_is_missing_is_the_fault_of_every_row() -> None:
    encoded = SPACE.encode(pa.table({"carrier": ["UA", None], "origin": ["JFK", "JFK"], "stops": [0, 1]}))
    assert [(encoded.faults[row].cause, encoded.faults[row].feature) for row in (0, 1)] == [
        ("missing_feature", "hour"),
        ("missing_feature", "hour"),
    ]
    assert len(encoded) == 2


def test_a_column_that_is_no_feature_is_not_read() -> None:
    encoded = SPACE.encode(pa.Table.from_pylist([{**GOOD, "label": 1.0}]))
    assert not encoded.faults


def test_no_rows() -> None:
    for encoded in (SPACE.encode_rows([]), SPACE.encode(pa.Table.from_pylist([GOOD]).slice(1))):
        assert len(encoded) == 0
        assert encoded.inputs.index.shape == (4, 0)
        assert encoded.ok.tolist() == []
        assert SPACE.ordinals(encoded.inputs).tolist() == []


def test_record_batches_and_chunked_tables_encode_alike() -> None:
    batch = pa.RecordBatch.from_pylist([GOOD, {**GOOD, "carrier": "UA"}])
    wanted = SPACE.encode(batch).inputs.index.tolist()
    assert wanted == [[1, 0], [1, 1], [1, 1], [0, 0]]
    chunked = pa.Table.from_batches([batch.slice(0, 1), batch.slice(1)])
    assert SPACE.encode(chunked).inputs.index.tolist() == wanted


def test_numbers_and_tensors_keep_the_order_of_the_space() -> None:
    inputs = MIXED.encode_row(MIXED_GOOD)
    assert inputs.index.tolist() == [[1]]
    assert inputs.number.tolist() == [[1.5], [0.0]]
    assert inputs.number.dtype == inputs.tensors[0].dtype == np.float32
    assert inputs.tensors[0].tolist() == [[[1, 2, 3], [4, 5, 6]]]
    many = MIXED.encode_rows([MIXED_GOOD, {**MIXED_GOOD, "price": 2}, MIXED_GOOD]).inputs
    assert len(many) == 3
    assert many.number.tolist() == [[1.5, 2.0, 1.5], [0.0, 0.0, 0.0]]
    assert many.tensors[0].shape == (3, 2, 3)
    taken = many.take(np.array([1, 0]))
    assert taken.number.tolist() == [[2.0, 1.5], [0.0, 0.0]]
    assert taken.tensors[0].shape == (2, 2, 3)


FLAT = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([FLAT, FLAT], pa.list_(pa.float32(), 6)),
        pa.array([FLAT, FLAT, FLAT], pa.list_(pa.float64(), 6)).slice(1),
        pa.array([FLAT, FLAT], pa.list_(pa.float16(), 6)),
        pa.array([FLAT, FLAT], pa.list_(pa.float32())),
        pa.array([[1, 2, 3, 4, 5, 6]] * 2),
        pa.array([[FLAT[:3], FLAT[3:]]] * 2),
        pa.array([[FLAT[:3], FLAT[3:]]] * 2, pa.list_(pa.list_(pa.float32(), 3), 2)),
        pa.FixedShapeTensorArray.from_numpy_ndarray(np.array([FLAT, FLAT], np.float32).reshape(2, 2, 3)),
    ],
    ids=lambda column: str(column.type),
)
def test_tensors_come_as_lists_of_many_types(column: pa.Array) -> None:
    table = pa.table({"price": [1, 1], "carrier": ["AA", "AA"], "map": column, "age": [0, 0]})
    encoded = MIXED.encode(table)
    assert not encoded.faults
    assert encoded.inputs.tensors[0].tolist() == [[[1, 2, 3], [4, 5, 6]]] * 2


@pytest.mark.parametrize(
    "value, cause",
    [
        (None, "null"),
        ([1, 2, 3], "wrong_type"),
        ([[1, 2], [3, 4], [5, 6]], "wrong_type"),
        ([[1, 2, 3], [4, 5]], "wrong_type"),
        ([*FLAT[:5], None], "wrong_type"),
        ([*FLAT[:5], "6"], "wrong_type"),
        ([*FLAT[:5], float("nan")], "not_finite"),
        ([*FLAT[:5], 1e39], "not_finite"),
        ([True] * 6, "wrong_type"),
        ("123456", "wrong_type"),
        (7, "wrong_type"),
    ],
)
def test_a_wrong_tensor_is_a_fault(value: object, cause: str) -> None:
    row = {**MIXED_GOOD, "map": value}
    with pytest.raises(InvalidInput) as caught:
        MIXED.encode_row(row)
    assert (caught.value.cause, caught.value.feature) == (cause, "map")
    encoded = MIXED.encode_rows([MIXED_GOOD, row])
    assert (encoded.faults[1].cause, str(encoded.faults[1])) == (cause, str(caught.value))
    assert encoded.inputs.tensors[0][1].tolist() == [[0.0] * 3] * 2


def test_a_fixed_size_list_is_judged_row_by_row() -> None:
    rows = [FLAT, [*FLAT[:5], float("inf")], None, FLAT]
    table = pa.table(
        {"price": [1] * 4, "carrier": ["AA"] * 4, "map": pa.array(rows, pa.list_(pa.float32(), 6)), "age": [0] * 4}
    )
    encoded = MIXED.encode(table)
    assert {row: fault.cause for row, fault in encoded.faults.items()} == {1: "not_finite", 2: "null"}
    assert encoded.inputs.tensors[0][3].ravel().tolist() == FLAT


def test_a_space_that_is_not_finite_has_no_ordinals() -> None:
    assert MIXED.numbering is None
    with pytest.raises(BadSettings, match="got price, map, age, which are numbers or tensors"):
        _ = MIXED.size


@pytest.mark.parametrize("features", [[], [Number("a"), Number("a")]])
def test_names_must_be_distinct(features: list[Feature]) -> None:
    with pytest.raises(BadSettings, match="features of distinct names"):
        FeatureSpace(features)
