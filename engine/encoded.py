"""A batch after encoding: its model input, and which rows are at fault and why."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from engine.errors import InvalidInput
from engine.inputs import Inputs


@dataclass(frozen=True)
class Encoded:
    """Encoded rows. A row at fault holds zeros in ``inputs`` and must not be answered from them.

    Attributes:
        inputs: all rows, in order.
        faults: row number -> the first error of that row (``.cause``, ``.feature``, message).
    """

    inputs: Inputs
    faults: dict[int, InvalidInput] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of rows, those at fault included."""
        return len(self.inputs)

    @property
    def ok(self) -> npt.NDArray[np.bool_]:
        """Bool of shape (n,): the rows that can be answered."""
        mask = np.ones(len(self), bool)
        mask[list(self.faults)] = False
        return mask
