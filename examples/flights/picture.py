"""A picture made from the lookup table: the chance of arriving on time, by hour of departure and carrier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.errors import BadSettings
from engine.feature import Categorical
from engine.predictor import Predictor


def chances_by_carrier_and_hour(predictor: Predictor) -> npt.NDArray[np.float64]:
    """Return the mean of all answers in the table, float64 of shape (carriers, hours).

    Raises:
        BadSettings: the release has no table.
    """
    numbering, table = predictor.space.numbering, predictor.table
    if table is None or numbering is None:
        message = f"release {predictor.release.number} must have a table; got none. Publish one with a table"
        raise BadSettings(message)
    carriers, *_, hours = numbering.sizes
    sums = np.zeros((carriers, hours))
    # A carrier's rows lie together, and the hour turns fastest: each run of `hours` rows is one of everything else.
    for carrier in range(carriers):
        first = carrier * numbering.strides[0]
        values, _ = table.lookup(np.arange(first, first + numbering.strides[0]))
        sums[carrier] = values[:, 0].reshape(-1, hours).mean(axis=0, dtype=np.float64)
    return sums


def draw(predictor: Predictor, target: Path) -> None:
    """Draw the table as a heat map into a PNG file."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    chances = chances_by_carrier_and_hour(predictor)
    carriers, hours = (_values(predictor, name) for name in ("carrier", "hour"))
    order = np.argsort(-chances.mean(axis=1))
    figure, axes = plt.subplots(figsize=(10, 5.5), layout="constrained")
    image = axes.imshow(chances[order] * 100, aspect="auto", cmap="RdYlGn")
    axes.set_xticks(range(len(hours)), hours)
    axes.set_yticks(range(len(carriers)), [carriers[place] for place in order])
    axes.set_xlabel("planned hour of departure")
    axes.set_ylabel("carrier, best first")
    axes.set_title(f"Chance of arriving on time, mean of {predictor.space.size:,} precomputed answers")
    figure.colorbar(image, ax=axes, label="on time, %")
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=120)
    plt.close(figure)


def _values(predictor: Predictor, name: str) -> tuple[str, ...]:
    (feature,) = (feature for feature in predictor.space.features if feature.name == name)
    return feature.values if isinstance(feature, Categorical) else ()
