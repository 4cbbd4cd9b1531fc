"""What a client hands back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.errors import InvalidInput

Values = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Prediction:
    """The answer to one row.

    Attributes:
        outputs: name -> a float32, or an array of shape (width,) where the output is wider than 1.
        source: ``table``, ``model`` or ``default``.
        release: the number of the release that answered.
    """

    outputs: dict[str, np.float32 | Values]
    source: str
    release: int


@dataclass(frozen=True)
class Predictions:
    """The answers to n rows, in the order of the input.

    Attributes:
        values: output -> float32 of shape (n,), or (n, width) where it is wider than 1; NaN where a row is at fault.
        sources: texts of shape (n,): ``table``, ``model``, ``default``, or ``none`` where a row is at fault. A JSON
            body does not say which row is from where: with several sources in it, its rows say ``mixed``.
        releases: int32 of shape (n,): the release that answered.
        rows_by_source: how many rows each source answered, whatever the form of the body.
        faults: row -> why it has no answer; empty unless faults were asked to be kept.
    """

    values: dict[str, Values]
    sources: npt.NDArray[np.str_]
    releases: npt.NDArray[np.int32]
    rows_by_source: dict[str, int]
    faults: dict[int, InvalidInput] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.releases)

    def to_table(self) -> pa.Table:
        """Return a column an output, then ``source`` and ``release``: what a scoring job writes."""
        columns = {name: _column(values) for name, values in self.values.items()}
        return pa.table({**columns, "source": pa.array(self.sources.tolist()), "release": pa.array(self.releases)})


def join(parts: Sequence[Predictions]) -> Predictions:
    """Return the parts as one, in order; there must be one at least.

    Raises:
        InvalidInput: the parts are of releases with different outputs.
    """
    names = list(parts[0].values)
    other = next((part for part in parts if list(part.values) != names), None)
    if other is not None:
        got = f"{list(other.values)}, of another release"
        message = f"all rows must have the outputs {names}; got {got}. Ask with same_release=True"
        raise InvalidInput(message, cause="mixed_releases")
    counts: dict[str, int] = {}
    faults: dict[int, InvalidInput] = {}
    start = 0
    for part in parts:
        for source, rows in part.rows_by_source.items():
            counts[source] = counts.get(source, 0) + rows
        faults.update({start + row: fault for row, fault in part.faults.items()})
        start += len(part)
    return Predictions(
        {name: np.concatenate([part.values[name] for part in parts]) for name in names},
        np.concatenate([part.sources for part in parts]),
        np.concatenate([part.releases for part in parts]),
        counts,
        faults,
    )


def _column(values: Values) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
