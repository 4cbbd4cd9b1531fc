"""Model input: rows after encoding, ready for a runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Inputs:
    """Encoded rows, one feature after the other (feature-major), which is what encoding makes and ordinals read.

    Attributes:
        index: int32 of shape (k, n): the categorical and bucketed features, in the space's order.
        number: float32 of shape (m, n): the number features, in the space's order.
        tensors: one float32 array of shape (n, *shape) per tensor feature, in the space's order.
    """

    index: npt.NDArray[np.int32]
    number: npt.NDArray[np.float32]
    tensors: tuple[npt.NDArray[np.float32], ...] = ()

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self.index.shape[1])

    @classmethod
    def joined(cls, parts: Sequence[Inputs]) -> Inputs:
        """Return the rows of all parts, one part after the other; there is at least one."""
        return cls(
            np.concatenate([part.index for part in parts], axis=1),
            np.concatenate([part.number for part in parts], axis=1),
            tuple(np.concatenate(tensors) for tensors in zip(*(part.tensors for part in parts), strict=True)),
        )

    def take(self, rows: npt.NDArray[np.int64] | slice) -> Inputs:
        """Return the chosen rows, in the order given."""
        tensors = tuple(tensor[rows] for tensor in self.tensors)
        if isinstance(rows, slice):
            return Inputs(self.index[:, rows], self.number[:, rows], tensors)
        # Two to three times as fast as an index, which walks the rows once and not feature by feature.
        return Inputs(np.take(self.index, rows, axis=1), np.take(self.number, rows, axis=1), tensors)
