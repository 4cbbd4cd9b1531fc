"""Random rows of a finite feature space as raw values, the way that users write them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.errors import BadSettings
from engine.feature import Bucketed, IndexFeature
from engine.inputs import Inputs
from engine.space import FeatureSpace


@dataclass(frozen=True)
class RandomRows:
    """Rows, and what they must encode to.

    Attributes:
        ordinals: int64 of shape (n,).
        inputs: the model input, made from the ordinals alone and not by an encoder.
        table: raw values, a column a feature: texts, whole numbers where all categories are such, float32 for buckets.
    """

    ordinals: npt.NDArray[np.int64]
    inputs: Inputs
    table: pa.Table

    def dicts(self) -> list[dict[str, object]]:
        """Return the raw values row by row."""
        rows: list[dict[str, object]] = self.table.to_pylist()
        return rows


def random_rows(space: FeatureSpace, count: int, *, seed: int = 1) -> RandomRows:
    """Draw rows of a space, each ordinal as likely as any other.

    Raises:
        BadSettings: the space is not finite: it can have no table.
    """
    if space.numbering is None:
        message = f"the space of {', '.join(space.names)} must be finite; got numbers or tensors. Choose another model"
        raise BadSettings(message)
    random = np.random.default_rng(seed)
    ordinals = random.integers(0, space.size, count)
    inputs = space.numbering.inputs(ordinals)
    columns = {
        feature.name: raw_column(feature, digits, random)
        for feature, digits in zip(space.index_features, inputs.index, strict=True)
    }
    return RandomRows(ordinals, inputs, pa.table(columns))


def raw_column(feature: IndexFeature, digits: npt.NDArray[np.int32], random: np.random.Generator) -> pa.Array:
    """Return raw values that encode to the digits: for a bucket its lowest or its highest float32."""
    lowest = [feature.raw(digit) for digit in range(feature.size)]
    if isinstance(feature, Bucketed):
        edges = np.array(feature.edges, np.float32)
        highest = np.append(np.nextafter(edges, np.float32(-np.inf)), np.float32(2) * np.abs(edges[-1]) + 1)
        ends = np.stack([np.array(lowest, np.float32), highest])
        return pa.array(ends[random.integers(0, 2, len(digits)), digits])
    whole = all(str(value).isdecimal() and str(int(value)) == value for value in lowest)
    values = pa.array([int(value) for value in lowest] if whole else lowest)
    return values.take(pa.array(digits))
