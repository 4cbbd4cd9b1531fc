"""The pure parts of the parity check: it must see a difference of one bit, and read every form of body."""

from __future__ import annotations

import numpy as np
import pytest

from bench.http_client import flat, matrix
from bench.parity import equal_rows
from bench.random_rows import random_rows
from engine.errors import BadSettings, EngineBug
from engine.feature import Number
from engine.space import FeatureSpace
from tests.support.synthetic import synthetic_space


def test_a_difference_of_one_bit_is_seen() -> None:
    wanted = np.array([[0.5, 0.25], [0.0, 1.0], [0.1, 0.2]], np.float32)
    other = wanted.copy()
    other[0, 1] = np.nextafter(other[0, 1], np.float32(1))
    other[1, 0] = -0.0
    assert equal_rows(wanted, wanted) == 3
    assert equal_rows(other, wanted) == 1


def test_a_missing_answer_is_no_equal_row() -> None:
    assert equal_rows(np.array([[np.nan]], np.float32), np.array([[0.5]], np.float32)) == 0


@pytest.mark.parametrize("values", [np.zeros((2, 1), np.float32), np.zeros((3, 1), np.float64)])
def test_answers_of_another_shape_or_type_are_refused(values: np.ndarray) -> None:
    with pytest.raises(EngineBug, match="must be float32 of shape"):
        equal_rows(values, np.zeros((3, 1), np.float32))


def test_bodies_are_read_in_declared_order() -> None:
    assert flat({"share": [1.0, 2.0], "click": 0.5}, ("click", "share")) == [0.5, 1.0, 2.0]
    assert matrix([0.5, 0.25], ("click",)).tolist() == [[0.5], [0.25]]
    columns = {"share": [[1.0, 2.0], [3.0, 4.0]], "click": [0.5, 0.25]}
    assert matrix(columns, ("click", "share")).tolist() == [[0.5, 1.0, 2.0], [0.25, 3.0, 4.0]]


def test_random_rows_encode_to_what_they_were_made_from() -> None:
    space = synthetic_space()
    drawn = random_rows(space, 3000)
    encoded = space.encode(drawn.table)
    assert not encoded.faults
    assert np.array_equal(encoded.inputs.index, drawn.inputs.index)
    assert [space.ordinal_of(row) for row in drawn.dicts()] == drawn.ordinals.tolist()


def test_a_space_that_is_not_finite_has_no_random_rows() -> None:
    with pytest.raises(BadSettings, match="must be finite"):
        random_rows(FeatureSpace([Number("price")]), 3)
