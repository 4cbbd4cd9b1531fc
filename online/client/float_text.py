"""Numbers of JSON, read back to the float32 that they were written from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# A server prints a float32 as the shortest text that reads back to it. Python reads a text as a float64, and rounding
# that again to float32 gives another one for exactly one text of all 2^31 positive numbers (and for its negative):
# the float64 nearest to it lies half-way between two float32.
_HALF_WAY = 7.038531e-26
_MEANT = np.uint32(0x15AE43FD).view(np.float32)


def to_float32(numbers: object) -> npt.NDArray[np.float32]:
    """Return an array of the numbers' shape: lists of float64 (None is NaN), as a JSON parser gives them."""
    wide = np.asarray(numbers, np.float64)
    narrow = wide.astype(np.float32)
    half_way = np.abs(wide) == _HALF_WAY
    if half_way.any():
        narrow[half_way] = np.copysign(_MEANT, narrow[half_way])
    return narrow
