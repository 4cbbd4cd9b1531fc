"""Random rows that a model accepts, as raw values."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from engine.feature import Categorical, Feature, IndexFeature, Tensor
from engine.space import FeatureSpace

Columns: TypeAlias = dict[str, npt.NDArray[np.generic]]


def random_columns(space: FeatureSpace, rows: int, random: np.random.Generator) -> Columns:
    """Draw rows: any declared category or bucket is as likely as any other, numbers are from a normal distribution.

    Unknown categories are not drawn: a table does not hold them all, and a client should rarely send one.

    Returns:
        A column a feature: texts or float32 of shape (rows,), of a tensor float32 of shape (rows, *shape).
    """
    return {feature.name: _column(feature, rows, random) for feature in space.features}


def _column(feature: Feature, rows: int, random: np.random.Generator) -> npt.NDArray[np.generic]:
    if isinstance(feature, Categorical):
        # Objects and not numpy's texts, which lose zeros at their ends.
        return np.array(feature.values, np.object_)[random.integers(0, len(feature.values), rows)]
    if isinstance(feature, IndexFeature):
        lowest = np.array([feature.raw(index) for index in range(feature.size)], np.float32)
        return lowest[random.integers(0, feature.size, rows)]
    shape = feature.shape if isinstance(feature, Tensor) else ()
    return random.standard_normal((rows, *shape), np.float32)
