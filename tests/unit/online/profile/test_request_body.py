"""Random rows: valid in either form, the same to the server, drawn from all of the space."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.feature import Tensor
from engine.space import FeatureSpace
from engine.wire.arrow_stream import parse_arrow
from online.predict_body import parse_body
from online.profile.random_rows import random_columns
from online.profile.request_body import BodyMaker, arrow_body, json_body
from tests.support.synthetic import CITIES, numbers_space, synthetic_space

SPACES = pytest.mark.parametrize("space", [synthetic_space(), numbers_space()], ids=["finite", "numbers"])


@SPACES
def test_both_forms_are_valid_and_the_same(space: FeatureSpace) -> None:
    columns = random_columns(space, 50, np.random.default_rng(3))
    by_json = space.encode_rows(parse_body(json_body(columns), space, max_rows=50).rows)
    by_arrow = space.encode(parse_arrow(arrow_body(columns), max_rows=50))
    assert not by_json.faults
    assert not by_arrow.faults
    np.testing.assert_array_equal(by_json.inputs.index, by_arrow.inputs.index)
    np.testing.assert_array_equal(by_json.inputs.number, by_arrow.inputs.number)
    for one, other in zip(by_json.inputs.tensors, by_arrow.inputs.tensors, strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_declared_value_is_drawn_and_no_other() -> None:
    columns = random_columns(synthetic_space(), 5000, np.random.default_rng(3))
    assert set(columns["city"]) == set(CITIES)
    assert set(columns["plan"]) == {"basic", "family", "pro", "7"}
    ages = set(columns["age"].tolist())
    assert len(ages) == 101
    assert min(ages) < 1
    assert max(ages) == 100


def test_bodies_of_a_size_are_distinct_and_large_ones_few() -> None:
    maker = BodyMaker(synthetic_space(), "json")
    bodies = maker.bodies(10)
    assert len(set(bodies)) == 16
    assert {len(json.loads(body)["instances"]) for body in bodies} == {10}
    assert len(maker.bodies(30_000)) < 4


@pytest.mark.parametrize("form", ["json", "arrow"])
def test_rows_too_large_for_any_server_are_not_made(form: str) -> None:
    maker = BodyMaker(FeatureSpace([Tensor("image", shape=(100, 100))]), form)
    assert len(maker.bodies(10)) >= 1
    assert maker.bodies(1_000_000) == []
