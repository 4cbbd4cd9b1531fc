"""Declarations: what is refused, and how they travel as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest

from engine.errors import BadSettings
from engine.feature import Bucketed, Categorical, Feature, IndexFeature, Number, Tensor, Unknown, feature_from_json
from engine.space import FeatureSpace

LOWEST = float(np.finfo(np.float32).min)


@pytest.mark.parametrize(
    "feature",
    [
        Categorical("carrier", ("UA", "Zu\u0308rich", "7")),
        Categorical("carrier", ("UA",), unknown=Unknown.SLOT),
        Bucketed("hour", (0.1, 5, 1e30)),
        Number("price"),
        Tensor("picture", shape=(2, 3, 4)),
    ],
    ids=lambda feature: feature.kind,
)
def test_json_goes_there_and_back(feature: Feature) -> None:
    assert feature_from_json(json.loads(json.dumps(feature.to_json()))) == feature


@pytest.mark.parametrize(
    "unknown, cardinality, size", [(Unknown.REJECT, 2, 2), (Unknown.MODEL, 3, 2), (Unknown.SLOT, 3, 3)]
)
def test_unknown_decides_cardinality_and_size(unknown: Unknown, cardinality: int, size: int) -> None:
    feature = Categorical("x", ("a", "b"), unknown=unknown)
    assert (feature.cardinality, feature.size) == (cardinality, size)


def test_values_are_kept_as_canonical_texts() -> None:
    values: tuple[object, ...] = (7, 8.0, True, "Zu\u0308rich")
    assert Categorical("x", values).values == ("7", "8", "true", "Z\u00fcrich")  # type: ignore[arg-type]


def test_edges_are_kept_as_float32() -> None:
    feature = Bucketed("x", (0.1, 7))
    assert feature.edges == (float(np.float32(0.1)), 7.0)
    assert feature.size == feature.cardinality == 3


@pytest.mark.parametrize(
    "feature",
    [
        Categorical("x", ("a", "unknown", "unknown_"), unknown=Unknown.SLOT),
        Categorical("x", ("a", "b")),
        Bucketed("x", (0.0, 1.0)),
        Bucketed("x", (-1e38, 1e-45)),
        Bucketed("x", (1e-45,)),
    ],
)
def test_raw_values_encode_to_their_index(feature: IndexFeature) -> None:
    space = FeatureSpace([feature])
    for index in range(feature.cardinality):
        assert space.encode_row({"x": feature.raw(index)}).index.tolist() == [[index]]


@pytest.mark.parametrize(
    "declare, message",
    [
        (lambda: Categorical("x"), "at least one value"),
        (lambda: Categorical("x", ("a", "b", "a")), r"distinct values; got \['a'\]"),
        (lambda: Categorical("x", ("7", 7)), "distinct values"),  # type: ignore[arg-type]
        (lambda: Categorical("x", ("\u00fc", "u\u0308")), "distinct values"),
        (lambda: Categorical("x", (None,)), "'x': each declared value must be a text"),  # type: ignore[arg-type]
        (lambda: Categorical("x", (7.5,)), "'x': each declared value must be a category"),  # type: ignore[arg-type]
        (lambda: Categorical("x", ("a",), unknown="maybe"), "unknown one of reject, model, slot; got 'maybe'"),  # type: ignore[arg-type]
        (lambda: Categorical("two words", ("a",)), "identifier"),
        (lambda: Categorical("", ("a",)), "identifier"),
        (lambda: Bucketed("x"), "increasing edges"),
        (lambda: Bucketed("x", (1, 1)), "increasing edges"),
        (lambda: Bucketed("x", (2, 1)), "increasing edges"),
        (lambda: Bucketed("x", (1.0, 1.0 + 1e-12)), "as float32"),
        (lambda: Bucketed("x", (LOWEST, 0.0)), "increasing edges"),
        (lambda: Bucketed("x", (math.nan,)), "'x': each declared value must be finite"),
        (lambda: Bucketed("x", (1e39,)), "must fit a float32"),
        (lambda: Number("1st"), "identifier"),
        (lambda: Tensor("x"), "shape of positive lengths"),
        (lambda: Tensor("x", shape=(2, 0)), "shape of positive lengths"),
        (lambda: feature_from_json({"kind": "sparse", "name": "x"}), "one of categorical, bucketed, number, tensor"),
        (lambda: feature_from_json({"name": "x"}), "got None"),
        (lambda: feature_from_json({"kind": "number", "name": "x", "unit": "m"}), "unexpected fields"),
        (lambda: feature_from_json({"kind": "categorical", "name": "x", "values": ["a"], "unknown": "?"}), "unknown"),
    ],
)
def test_a_wrong_declaration_is_refused(declare: Callable[[], Feature], message: str) -> None:
    with pytest.raises(BadSettings, match=message):
        declare()


def test_an_unknown_category_is_answered_with_the_known_ones() -> None:
    error = Categorical("x", tuple(f"v{number}" for number in range(20))).unknown_error("z" * 500)
    assert str(error).startswith("feature 'x' must be one of v0, v1, ")
    assert "(20 in all)" in str(error)
    assert len(str(error)) < 250
