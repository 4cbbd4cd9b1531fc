"""Mixed radix: the numbering of the rows of a finite space.

The last feature turns fastest, as in an odometer: ``ordinal = sum(digit[j] * stride[j])`` with
``stride[j] = size[j+1] * size[j+2] * …``. Ordinals are int64, so a space may be far larger than 2^32 rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engine.errors import BadSettings
from engine.inputs import Inputs

_LARGEST = 2**63 - 1


class Numbering:
    """Rows of a finite space to ordinals and back.

    Attributes:
        sizes: how many digits each feature has.
        strides: how far apart its digits are.
        size: rows in all.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        """Compute the strides.

        Raises:
            BadSettings: the space has more rows than an int64 can number.
        """
        self.sizes = tuple(sizes)
        strides = [1]
        for size in reversed(self.sizes):
            strides.append(strides[-1] * size)
        self.size = strides.pop()
        self.strides = tuple(reversed(strides))
        if self.size > _LARGEST:
            message = f"a finite feature space must have at most 2^63 - 1 rows; got {self.size}"
            raise BadSettings(message)

    def ordinals(self, index: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        """Return the ordinals of digits of shape (k, n); -1 where a digit is past its feature's size."""
        ordinals = np.zeros(index.shape[1], np.int64)
        for digits, stride in zip(index, self.strides, strict=True):
            ordinals += np.multiply(digits, stride, dtype=np.int64) if stride != 1 else digits
        for digits, size in zip(index, self.sizes, strict=True):
            beyond = digits >= size
            if beyond.any():
                ordinals[beyond] = -1
        return ordinals

    def ordinal(self, digits: Sequence[int]) -> int:
        """Return the ordinal of one row's digits; -1 where one is past its feature's size."""
        ordinal = 0
        for digit, size, stride in zip(digits, self.sizes, self.strides, strict=True):
            if digit >= size:
                return -1
            ordinal += digit * stride
        return ordinal

    def digits(self, start: int, stop: int) -> npt.NDArray[np.int32]:
        """Return the digits of the ordinals ``start`` to ``stop - 1``, int32 of shape (k, stop - start).

        A feature's digit stays the same for ``stride`` ordinals, so only one division a change is needed.

        Raises:
            BadSettings: the range is not within the space.
        """
        if not 0 <= start <= stop <= self.size:
            message = f"ordinals must be within 0 to {self.size}; got {start} to {stop}"
            raise BadSettings(message)
        digits = np.empty((len(self.sizes), stop - start), np.int32)
        if start == stop:
            return digits
        for row, size, stride in zip(digits, self.sizes, self.strides, strict=True):
            first, last = start // stride, (stop - 1) // stride
            changing = _turning(first % size, size, last - first + 1)
            if stride == 1:
                row[:] = changing
                continue
            runs = np.full(len(changing), stride, np.int64)
            runs[-1] = stop - last * stride
            runs[0] -= start - first * stride
            row[:] = np.repeat(changing, runs)
        return digits

    def inputs(self, ordinals: npt.NDArray[np.int64]) -> Inputs:
        """Return the encoded rows of any ordinals within the space, int64 of shape (n,)."""
        digits = [(ordinals // stride) % size for stride, size in zip(self.strides, self.sizes, strict=True)]
        return Inputs(np.array(digits, np.int32), np.empty((0, len(ordinals)), np.float32))


def _turning(first: int, size: int, count: int) -> npt.NDArray[np.int32]:
    """Return ``count`` digits from ``first`` on, 0 after ``size - 1``: divided once a turn and not once a digit."""
    if first + count <= size:
        return np.arange(first, first + count, dtype=np.int32)
    turn = np.arange(first, first + size, dtype=np.int32) % np.int32(size)
    return np.tile(turn, -(-count // size))[:count]
