"""Metrics against values worked out by hand and by brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.output import Output, OutputSchema
from jobs.metrics import area_under_curve, calibration_error, evaluate, log_loss


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


def test_log_loss_by_hand() -> None:
    # -(ln 0.8 + ln 0.5 + ln 0.9) / 3
    found = log_loss(column(1, 0, 0), column(0.8, 0.5, 0.1))
    assert found == pytest.approx((0.2231435513 + 0.6931471806 + 0.1053605157) / 3)


def test_log_loss_of_a_sure_error_is_finite() -> None:
    assert log_loss(column(1), column(0.0)) == pytest.approx(-math.log(1e-7))


@pytest.mark.parametrize(
    "labels, values, expected",
    [
        ((0, 0, 1, 1), (0.1, 0.4, 0.35, 0.8), 0.75),
        ((0, 1), (0.1, 0.9), 1.0),
        ((0, 1), (0.9, 0.1), 0.0),
        ((0, 1, 0, 1), (0.5, 0.5, 0.5, 0.5), 0.5),
        ((1, 0, 1), (0.5, 0.5, 0.9), 0.75),
    ],
)
def test_area_under_curve_by_hand(labels: tuple[float, ...], values: tuple[float, ...], expected: float) -> None:
    assert area_under_curve(column(*labels), column(*values)) == pytest.approx(expected)


def test_area_under_curve_is_the_share_of_pairs_in_order() -> None:
    random = np.random.default_rng(0)
    labels = (random.random(400) < 0.3).astype(float)
    values = np.round(random.random(400), 2)  # many ties
    pairs = [
        1.0 if one > other else 0.5 if one == other else 0.0
        for one in values[labels == 1]
        for other in values[labels == 0]
    ]
    assert area_under_curve(labels, values) == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)


def test_calibration_error_by_hand() -> None:
    # Bin 1 (0.1 to 0.2): values 0.15 and 0.15, labels 0 and 1: a gap of 0.35 over 2 rows. The last bin holds 1.0.
    found = calibration_error(column(0, 1, 1, 1), column(0.15, 0.15, 0.95, 1.0))
    assert found == pytest.approx((2 * 0.35 + 2 * 0.025) / 4)


def test_each_output_has_the_metrics_of_its_kind() -> None:
    schema = OutputSchema([Output("on_time"), Output("delay", width=2, range=(0.0, 60.0))])
    labels = np.array([[0, 10, 20], [1, 0, 0]], np.float32)
    values = np.array([[0.25, 13, 16], [0.75, 0, 0]], np.float32)
    found = evaluate(schema, labels, values)
    assert found == pytest.approx(
        {
            "on_time.log_loss": -math.log(0.75),
            "on_time.auc": 1.0,
            "on_time.calibration_error": 0.25,
            "delay.mean_absolute_error": 7 / 4,
            "delay.root_mean_squared_error": math.sqrt(25 / 4),
        }
    )


def test_what_the_labels_do_not_define_is_left_out() -> None:
    found = evaluate(OutputSchema([Output("p")]), np.ones((3, 1)), np.full((3, 1), 0.5))
    assert set(found) == {"p.log_loss", "p.calibration_error"}


def test_labels_that_are_shares_are_a_quantity() -> None:
    found = evaluate(OutputSchema([Output("p")]), np.array([[0.5], [1.0]]), np.array([[0.25], [1.0]]))
    assert found["p.mean_absolute_error"] == pytest.approx(0.125)
