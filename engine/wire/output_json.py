"""Answers as JSON: a float32 is the shortest text that reads back to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat

import numpy as np
import numpy.typing as npt
import orjson

from engine.output import OutputSchema


def to_json(value: object) -> bytes:
    """Return JSON; a float32 is the shortest text that reads back to the same float32."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def numbers_json(values: Sequence[float]) -> list[bytes]:
    """Return the shortest text of each of some values that float32 holds exactly."""
    if len(values) == 1:  # an array takes longer than its only number
        return [to_json(np.float32(values[0]))]
    return to_json(np.array(values, np.float32))[1:-1].split(b",")


class OutputJson:
    """Prints a model's outputs, each row an object of outputs by name.

    Attributes:
        first: what stands before a row's first number.
        last: what stands behind its last.
    """

    def __init__(self, schema: OutputSchema) -> None:
        """Prepare all that does not depend on the row."""
        places = [
            to_json(output.name) + (b":\0" if output.width == 1 else b":[" + b",".join([b"\0"] * output.width) + b"]")
            for output in schema.outputs
        ]
        self.first, *self._between, self.last = (b"{" + b",".join(places) + b"}").split(b"\0")

    def rows(self, values: npt.NDArray[np.float32]) -> list[bytes]:
        """Return an object a row, of values of shape (n, width): all numbers are printed in one call."""
        return list(map(b"".join, zip(repeat(self.first), *self.parts(values), repeat(self.last), strict=False)))

    def parts(self, values: npt.NDArray[np.float32]) -> list[Iterable[bytes]]:
        """Return what stands between ``first`` and ``last``, for a join of each row: endless where rows do not differ.

        So a text around it needs no text of the row by itself, and no call of Python a row.
        """
        width = values.shape[1]
        numbers = to_json(np.ascontiguousarray(values).reshape(-1))[1:-1].split(b",") if len(values) else []
        parts: list[Iterable[bytes]] = [numbers[::width] if width > 1 else numbers]
        for place, between in enumerate(self._between, 1):
            parts += [repeat(between), numbers[place::width]]
        return parts
