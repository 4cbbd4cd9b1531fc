"""Output codecs: how an answer is stored. The codec is applied to the answer on every path, the model's too.

A new codec is one class here with the methods of ``Codec``, and an entry in ``CODECS``.
"""

from __future__ import annotations

from math import isfinite
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from engine.errors import BadSettings, InvalidInput
from engine.output import OutputSchema

Values = npt.NDArray[np.float32]
Codes = npt.NDArray[Any]
# The largest binary16 value, and the smallest float32 that is rounded to infinity: half a step above it.
_LARGEST_FLOAT16, _OVERFLOWS_FLOAT16 = 65504.0, np.float32(65520.0)

# Where looking at each value takes as long as numpy's calls.
_FEW_VALUES = 64


class Codec(Protocol):
    """Contract: ``decode(encode(x))`` is what every path answers; ``encode(decode(c)) == c`` for every code.

    Attributes:
        name: what a command line says.
        dtype: of the codes, little-endian.
    """

    name: ClassVar[str]
    dtype: ClassVar[np.dtype[Any]]

    def encode(self, values: Values) -> Codes:
        """Return codes of the shape (n, width) of ``values``; raise ``InvalidInput`` for a value that has none."""
        ...

    def representable(self, values: Values) -> npt.NDArray[np.bool_]:
        """Return which rows ``encode`` has codes for, bool of shape (n,); NaN and infinities never have one."""
        ...

    def decode(self, codes: Codes) -> Values:
        """Return float32 of shape (n, width)."""
        ...

    def decode_row(self, codes: tuple[Any, ...]) -> tuple[float, ...]:
        """Decode one row of ``width`` codes, as Python floats that float32 holds exactly."""
        ...

    def error_limits(self) -> Values:
        """Return the largest error within the declared ranges, float32 of shape (width,)."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return a plain form that ``codec_from_json`` reads back."""
        ...


class Float32Codec:
    """The answer as it is."""

    name: ClassVar[str] = "float32"
    dtype: ClassVar[np.dtype[Any]] = np.dtype("<f4")

    def __init__(self, width: int) -> None:
        """Keep the width, values a row."""
        self.width = width

    def encode(self, values: Values) -> Codes:
        """Return the values, checked."""
        _refuse_non_finite(values)
        return values.astype(self.dtype, copy=False)

    def representable(self, values: Values) -> npt.NDArray[np.bool_]:
        """Return which rows are finite."""
        return _whole_rows(np.isfinite(values))

    def decode(self, codes: Codes) -> Values:
        """Return the codes as they are."""
        return codes.astype(np.float32, copy=False)

    def decode_row(self, codes: tuple[Any, ...]) -> tuple[float, ...]:
        """Return the codes as they are."""
        return codes

    def error_limits(self) -> Values:
        """Return zeros."""
        return np.zeros(self.width, np.float32)

    def to_json(self) -> dict[str, Any]:
        """Return the name and the width."""
        return {"name": self.name, "width": self.width}

    @classmethod
    def of(cls, schema: OutputSchema) -> Float32Codec:
        """Return the codec for a model's outputs."""
        return cls(schema.width)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Float32Codec:
        """Build from what ``to_json`` gave."""
        return cls(int(fields["width"]))


class Float16Codec:
    """The nearest IEEE binary16 value answers, of two that are equally near the even one.

    The conversion is the standard's, so every CPU gives the same code. It keeps 11 significant bits, also outside the
    declared range; what would round to an infinity has no code.
    """

    name: ClassVar[str] = "float16"
    dtype: ClassVar[np.dtype[Any]] = np.dtype("<f2")

    def __init__(self, ranges: list[tuple[float, float]]) -> None:
        """Keep the ranges.

        Args:
            ranges: (low, high) of each of the ``width`` values of a row.

        Raises:
            BadSettings: a range reaches beyond the largest binary16 value.
        """
        self.ranges = [(float(low), float(high)) for low, high in ranges]
        for low, high in self.ranges:
            if not -_LARGEST_FLOAT16 <= low < high <= _LARGEST_FLOAT16:
                message = (
                    f"a float16 range must lie within -{_LARGEST_FLOAT16:g} and {_LARGEST_FLOAT16:g}; got {low} to "
                    f"{high}. Use another codec, or declare the output in a larger unit"
                )
                raise BadSettings(message)

    def encode(self, values: Values) -> Codes:
        """Return binary16 codes."""
        if not np.abs(values).max(initial=0.0) < _OVERFLOWS_FLOAT16:
            _refuse_non_finite(values)
            row = int(np.flatnonzero(~self.representable(values))[0])
            message = (
                f"an answer in float16 must be within -{_LARGEST_FLOAT16:g} and {_LARGEST_FLOAT16:g}; got "
                f"{values[row].tolist()} at row {row}. Use another codec, or declare the output in a larger unit"
            )
            raise InvalidInput(message, cause="model_overflows_codec")
        return values.astype(self.dtype)

    def representable(self, values: Values) -> npt.NDArray[np.bool_]:
        """Return which rows are finite and do not overflow."""
        return _whole_rows(np.abs(values) < _OVERFLOWS_FLOAT16)

    def decode(self, codes: Codes) -> Values:
        """Return the codes as float32, which holds each one exactly."""
        return codes.astype(np.float32)

    def decode_row(self, codes: tuple[Any, ...]) -> tuple[float, ...]:
        """Return the codes as they are: ``struct`` reads binary16 as Python floats."""
        return codes

    def error_limits(self) -> Values:
        """Return half the step of binary16 just below the largest magnitude of each column's range."""
        largest = np.array([max(abs(low), abs(high)) for low, high in self.ranges])
        fraction, exponent = np.frexp(largest)  # largest = fraction * 2**exponent, fraction in [0.5, 1)
        below = np.where(fraction == 0.5, exponent - 2, exponent - 1)  # values below are 2**below or more
        limits: Values = np.ldexp(0.5, np.maximum(below - 10, -24)).astype(np.float32)
        return limits

    def to_json(self) -> dict[str, Any]:
        """Return the name and the ranges."""
        return {"name": self.name, "ranges": [list(pair) for pair in self.ranges]}

    @classmethod
    def of(cls, schema: OutputSchema) -> Float16Codec:
        """Return the codec for a model's outputs."""
        return cls([output.range for output in schema.outputs for _ in range(output.width)])

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Float16Codec:
        """Build from what ``to_json`` gave."""
        return cls([(low, high) for low, high in fields["ranges"]])


class Uint8Codec:
    """256 evenly spaced values over each output's declared range; the nearest one answers.

    Value ``k`` is ``low + (high - low) * k / 255`` in float64, rounded to float32. A float32 takes code ``k`` when it
    is at or above exactly ``k`` thresholds; threshold ``k`` is the smallest float32 not below the midpoint of values
    ``k - 1`` and ``k``. So the codec is monotone by construction and does no arithmetic on an answer that another CPU
    could round otherwise. What is outside the range takes the nearest end.
    """

    name: ClassVar[str] = "uint8"
    dtype: ClassVar[np.dtype[Any]] = np.dtype("u1")

    def __init__(self, ranges: list[tuple[float, float]]) -> None:
        """Compute the values and thresholds.

        Args:
            ranges: (low, high) of each of the ``width`` values of a row.

        Raises:
            BadSettings: a range is too narrow for 256 distinct float32 values.
        """
        self.ranges = [(float(low), float(high)) for low, high in ranges]
        scales = [_scale(low, high) for low, high in self.ranges]
        self._values = np.stack([values for values, _ in scales])  # (width, 256)
        self._thresholds = np.stack([thresholds for _, thresholds in scales])  # (width, 255)
        self._columns = np.arange(len(self.ranges))
        self._lists = [values.tolist() for values in self._values]

    def encode(self, values: Values) -> Codes:
        """Return uint8 codes: how many thresholds are at or below each value."""
        _refuse_non_finite(values)
        codes = np.empty(values.shape, np.uint8)
        for column, thresholds in enumerate(self._thresholds):
            codes[:, column] = np.searchsorted(thresholds, values[:, column], side="right")
        return codes

    def representable(self, values: Values) -> npt.NDArray[np.bool_]:
        """Return which rows are finite."""
        return _whole_rows(np.isfinite(values))

    def decode(self, codes: Codes) -> Values:
        """Return the stored values."""
        values: Values = self._values[0][codes] if len(self._values) == 1 else self._values[self._columns, codes]
        return values

    def decode_row(self, codes: tuple[Any, ...]) -> tuple[float, ...]:
        """Return the stored values of one row."""
        return tuple(values[code] for values, code in zip(self._lists, codes, strict=True))

    def error_limits(self) -> Values:
        """Return half the widest step of each column."""
        steps = np.diff(self._values.astype(np.float64), axis=1).max(axis=1) / 2
        limits: Values = np.nextafter(steps.astype(np.float32), np.float32(np.inf))
        return limits

    def to_json(self) -> dict[str, Any]:
        """Return the name and the ranges."""
        return {"name": self.name, "ranges": [list(pair) for pair in self.ranges]}

    @classmethod
    def of(cls, schema: OutputSchema) -> Uint8Codec:
        """Return the codec for a model's outputs: the outputs of a group share the union of their ranges."""
        groups: dict[str, list[tuple[float, float]]] = {}
        for output in schema.outputs:
            groups.setdefault(output.group or f"output {output.name}", []).append(output.range)
        ranges = []
        for output in schema.outputs:
            shared = groups[output.group or f"output {output.name}"]
            ranges += [(min(low for low, _ in shared), max(high for _, high in shared))] * output.width
        return cls(ranges)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Uint8Codec:
        """Build from what ``to_json`` gave."""
        return cls([(low, high) for low, high in fields["ranges"]])


_Codec = type[Float32Codec] | type[Float16Codec] | type[Uint8Codec]
CODECS: dict[str, _Codec] = {codec.name: codec for codec in (Float32Codec, Float16Codec, Uint8Codec)}


def codec_named(name: str, schema: OutputSchema) -> Codec:
    """Return the codec of a name for a model's outputs.

    Raises:
        BadSettings: there is none of that name.
    """
    return _codec_class(name).of(schema)


def codec_from_json(fields: dict[str, Any]) -> Codec:
    """Build a codec from its JSON form.

    Raises:
        BadSettings: there is none of that name.
    """
    return _codec_class(fields.get("name")).from_json(fields)


def _codec_class(name: object) -> _Codec:
    if name not in CODECS:
        message = f"a codec must be one of {', '.join(CODECS)}; got {name!r}"
        raise BadSettings(message)
    return CODECS[str(name)]


def _scale(low: float, high: float) -> tuple[Values, Values]:
    with np.errstate(over="ignore", invalid="ignore"):
        exact = low + (high - low) * np.arange(256, dtype=np.float64) / 255
        values = exact.astype(np.float32)
    if not np.isfinite(values).all() or not (values[:-1] < values[1:]).all():
        message = f"a uint8 range must hold 256 distinct, finite float32 values; got {low} to {high}. Change it"
        raise BadSettings(message)
    left, right = values[:-1].astype(np.float64), values[1:].astype(np.float64)
    twice = left + right
    # What the sum lost by rounding (Knuth's TwoSum): a float64 does not hold the sum of 1e-30 and 1e10.
    other = twice - left
    lost = (left - (twice - other)) + (right - other)
    thresholds = (twice / 2).astype(np.float32)
    below = (thresholds < twice / 2) | ((thresholds == twice / 2) & (lost > 0))
    thresholds[below] = np.nextafter(thresholds[below], np.float32(np.inf))
    return values, thresholds


def _whole_rows(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return of which rows every flag is set."""
    whole: npt.NDArray[np.bool_] = np.logical_and.reduce(flags, axis=1)
    return whole


def _refuse_non_finite(values: Values) -> None:
    # A row or two: numpy's calls take ten times as long as looking at each value.
    if values.size <= _FEW_VALUES and all(map(isfinite, values.ravel().tolist())):
        return
    # One pass in the common case: a sum is finite unless something in it is not (or it overflows: then look closely).
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum(dtype=np.float32)) or np.isfinite(values).all():
            return
    row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
    message = (
        f"an answer must be finite; got {values[row].tolist()} at row {row}. The model overflows: bound its outputs"
    )
    raise InvalidInput(message, cause="model_not_finite")
