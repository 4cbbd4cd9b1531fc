"""Metrics of a model on rows it never saw: numpy only, float64 inside.

An output of width 1 and range 0 to 1 whose labels are all 0 or 1 is a probability: log loss, AUC, calibration error.
Every other one is a quantity: mean absolute error and root mean squared error over all its values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.output import Output, OutputSchema

Column = npt.NDArray[np.float64]

_BINS = 10
# A float32 probability can round to exactly 0 or 1, where the log loss is infinite; the float32 below 1 is 6e-8 off.
_SMALLEST = 1e-7


def evaluate(schema: OutputSchema, labels: npt.NDArray[Any], values: npt.NDArray[Any]) -> dict[str, float]:
    """Return metrics by ``output.metric``, e.g. ``on_time.log_loss``, of labels and answers of shape (n, width).

    A metric that the labels do not define (the AUC of labels that are all alike) is left out.
    """
    found: dict[str, float] = {}
    for output, place in zip(schema.outputs, schema.slices.values(), strict=True):
        one, other = (np.asarray(matrix[:, place], np.float64) for matrix in (labels, values))
        metrics = _probability(one[:, 0], other[:, 0]) if _is_probability(output, one) else _quantity(one, other)
        found.update({f"{output.name}.{metric}": value for metric, value in metrics.items() if np.isfinite(value)})
    return found


def log_loss(labels: Column, values: Column) -> float:
    """Return the mean of ``-log`` of the probability that was given to what came true, in nats."""
    values = np.clip(values, _SMALLEST, 1 - _SMALLEST)
    return float(-np.mean(np.where(labels == 1, np.log(values), np.log1p(-values))))


def area_under_curve(labels: Column, values: Column) -> float:
    """Return the chance that a positive row is ranked above a negative one, ties as a half; NaN without both kinds.

    The Mann-Whitney statistic: the positives' ranks, ties averaged, less their smallest possible sum.
    """
    positives = int((labels == 1).sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        return float("nan")
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    surplus = ranks[which][labels == 1].sum() - positives * (positives + 1) / 2
    return float(surplus / (positives * negatives))


def calibration_error(labels: Column, values: Column) -> float:
    """Return ``|mean label - mean value|`` over 10 bins of equal width, weighted by their rows."""
    if not len(values):
        return float("nan")
    bins = np.clip((values * _BINS).astype(np.int64), 0, _BINS - 1)
    gaps = np.bincount(bins, labels, _BINS) - np.bincount(bins, values, _BINS)
    return float(np.abs(gaps).sum() / len(values))


def _is_probability(output: Output, labels: Column) -> bool:
    return output.width == 1 and output.range == (0.0, 1.0) and bool(np.isin(labels, (0.0, 1.0)).all())


def _probability(labels: Column, values: Column) -> dict[str, float]:
    if not len(labels):
        return {}
    return {
        "log_loss": log_loss(labels, values),
        "auc": area_under_curve(labels, values),
        "calibration_error": calibration_error(labels, values),
    }


def _quantity(labels: Column, values: Column) -> dict[str, float]:
    if not len(labels):
        return {}
    errors = values - labels
    return {
        "mean_absolute_error": float(np.abs(errors).mean()),
        "root_mean_squared_error": float(np.sqrt((errors**2).mean())),
    }
