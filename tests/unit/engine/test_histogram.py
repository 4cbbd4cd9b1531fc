"""The response histogram and the stability index, against counts made by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from engine.histogram import response_histogram, stability_index
from engine.output import Output, OutputSchema

SCHEMA = OutputSchema([Output("click"), Output("share", width=2, range=(-1.0, 1.0))])


def counts(**places: int) -> list[int]:
    """20 counts, zero but for ``_<bin>=count``."""
    return [places.get(f"_{number}", 0) for number in range(20)]


def test_answers_are_counted_in_20_bins() -> None:
    values = np.array([[0.0, -1.0, 0.0], [0.06, 1.0, -0.95], [1.0, 0.99, 0.11], [0.5, -0.31, 0.1]], np.float32)
    assert response_histogram(values, SCHEMA) == {
        "click": [counts(_0=1, _1=1, _19=1, _10=1)],
        "share": [counts(_0=1, _19=2, _6=1), counts(_10=1, _0=1, _11=2)],
    }


def test_what_is_outside_the_range_counts_at_its_ends() -> None:
    found = response_histogram(np.array([[-5, -5, 0], [7, 1e30, 0]], np.float32), SCHEMA)
    assert found["click"] == [counts(_0=1, _19=1)]
    assert found["share"][0] == counts(_0=1, _19=1)


def test_no_answers() -> None:
    empty = response_histogram(np.empty((0, 3), np.float32), SCHEMA)
    assert empty == {"click": [counts()], "share": [counts(), counts()]}
    assert stability_index(empty, empty) == 0.0


def test_it_is_plain_json() -> None:
    found = response_histogram(np.zeros((3, 3), np.float32), SCHEMA)
    assert json.loads(json.dumps(found)) == found


def test_equal_shares_are_at_distance_0() -> None:
    one = {"x": [[1, 2, 3]]}
    assert stability_index(one, one) == 0.0
    assert stability_index(one, {"x": [[10, 20, 30]]}) == pytest.approx(0.0)


def test_the_index_is_the_sum_over_the_bins() -> None:
    wanted = (0.5 - 0.25) * math.log(0.5 / 0.25) + (0.5 - 0.75) * math.log(0.5 / 0.75)
    assert stability_index({"x": [[2, 2]]}, {"x": [[1, 3]]}) == pytest.approx(wanted)
    assert stability_index({"x": [[1, 3]]}, {"x": [[2, 2]]}) == pytest.approx(wanted)


def test_the_largest_of_all_values_counts() -> None:
    one, other = {"x": [[1, 1], [2, 2]], "y": [[1, 1]]}, {"x": [[1, 1], [1, 3]], "y": [[1, 1]]}
    assert stability_index(one, other) == stability_index({"x": [[2, 2]]}, {"x": [[1, 3]]})


def test_an_empty_bin_is_not_infinitely_far() -> None:
    wanted = 2 * (1 - 1e-4) * math.log(1 / 1e-4)
    assert stability_index({"x": [[5, 0]]}, {"x": [[0, 5]]}) == pytest.approx(wanted)


@pytest.mark.parametrize("other", [{"y": [[1, 1]]}, {"x": [[1, 1], [1, 1]]}, {"x": [[1, 1, 1]]}, {}])
def test_other_outputs_are_infinitely_far(other: dict[str, list[list[int]]]) -> None:
    assert stability_index({"x": [[1, 1]]}, other) == math.inf
