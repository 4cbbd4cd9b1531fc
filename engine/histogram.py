"""How a model's answers spread: the response histogram, and how far two of them are apart.

Response distributions tell of a broken model or feed before any label arrives.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.output import OutputSchema

_BINS = 20
# A share below this counts as this: an empty bin would make the index infinite.
_SMALLEST_SHARE = 1e-4


def response_histogram(values: npt.NDArray[np.float32], schema: OutputSchema) -> dict[str, list[list[int]]]:
    """Count answers, float32 of shape (n, width), in 20 equal bins over each output's range.

    Returns:
        Output name -> one list of counts per value; what is outside the range counts in the outermost bins.
    """
    counts: dict[str, list[list[int]]] = {}
    for output, place in zip(schema.outputs, schema.slices.values(), strict=True):
        low, high = output.range
        columns = np.clip(values[:, place].astype(np.float64), low, high).T
        counts[output.name] = [np.histogram(column, bins=_BINS, range=(low, high))[0].tolist() for column in columns]
    return counts


def stability_index(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Return the largest population stability index between two response histograms of the same outputs.

    ``sum((p - q) * ln(p / q))`` over the bins: 0 for equal shares; by the field's custom, below 0.1 is no change and
    above 0.25 a large one. Infinite where the outputs differ.
    """
    if {name: len(columns) for name, columns in one.items()} != {name: len(columns) for name, columns in other.items()}:
        return float("inf")
    distances = [
        _index(np.array(left, float), np.array(right, float))
        for name in one
        for left, right in zip(one[name], other[name], strict=True)
    ]
    return max(distances, default=0.0)


def _index(left: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> float:
    if len(left) != len(right):
        return float("inf")
    p, q = (np.maximum(counts / max(counts.sum(), 1.0), _SMALLEST_SHARE) for counts in (left, right))
    return float(((p - q) * np.log(p / q)).sum())
