"""Answers as JSON: a float32 is the shortest text that reads back to it."""

from __future__ import annotations

from collections.abc import Sequence

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
    """Prints a model's outputs, each row an object of outputs by name."""

    def __init__(self, schema: OutputSchema) -> None:
        """Prepare all that does not depend on the row."""
        keys = [to_json(output.name).replace(b"%", b"%%") + b":" for output in schema.outputs]
        places = [
            b"%b" if output.width == 1 else b"[" + b",".join([b"%b"] * output.width) + b"]" for output in schema.outputs
        ]
        # One row, with a place for each number.
        self._form = b"{" + b",".join(key + place for key, place in zip(keys, places, strict=True)) + b"}"
        self._width = schema.width

    def rows(self, values: npt.NDArray[np.float32]) -> list[bytes]:
        """Return an object a row, of values of shape (n, width): all numbers are printed in one call."""
        form, width = self._form, self._width
        numbers = to_json(np.ascontiguousarray(values).reshape(-1))[1:-1].split(b",")
        if width == 1:
            return [form % number for number in numbers]
        return [form % tuple(numbers[first : first + width]) for first in range(0, len(numbers), width)]
