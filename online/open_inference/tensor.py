"""An input tensor as an Arrow column: what it means is left to the space's encoders, as on every path."""

from __future__ import annotations

import math
from itertools import chain
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.errors import InvalidInput
from engine.feature import Feature, Tensor
from engine.wire.json_document import kind_of
from online.open_inference.byte_strings import parse_byte_strings
from online.open_inference.datatype import BYTES, DATATYPES, Datatype

# What a tensor feature's values may be, and behind n the shapes of the others'.
_NUMBERS = {name: datatype for name, datatype in DATATYPES.items() if name != BYTES}
_INNER: list[list[int]] = [[], [1]]


class InputTensor(NamedTuple):
    """A feature's values in one request.

    Attributes:
        feature: whose values they are.
        datatype: of an element.
        shape: (n,) or (n, 1); of a tensor feature (n, *the feature's).
        data: JSON elements, flat in row-major order or nested as the shape says; or the bytes of binary tensor data.
    """

    feature: Feature
    datatype: Datatype
    shape: tuple[int, ...]
    data: list[Any] | memoryview

    def column(self) -> pa.Array:
        """Return an array of n values; of a tensor feature, of n fixed lists. It may lie in ``data``.

        Raises:
            InvalidInput: the data is not what shape and datatype say.
        """
        data = self.data
        if self.datatype.dtype is None:
            if isinstance(data, memoryview):
                return parse_byte_strings(data, self.shape[0], feature=self.feature.name)
            return self._texts(data)
        numbers = self._from_binary(data) if isinstance(data, memoryview) else self._from_json(data)
        column = pa.array(numbers)
        if isinstance(self.feature, Tensor):
            return pa.FixedSizeListArray.from_arrays(column, math.prod(self.feature.shape))
        return column

    def value(self) -> object:
        """Return the only value of one row, as a row of JSON would have it; an array of one element costs more than it.

        Raises:
            InvalidInput: as ``column``.
        """
        data = self.data
        if self.datatype.dtype is None:
            if isinstance(data, memoryview):
                return self.column()[0].as_py()
            (text,) = self._elements(data)
            return text if text.isascii() else self._texts([text])[0].as_py()
        numbers = self._from_binary(data) if isinstance(data, memoryview) else self._from_json(data)
        return numbers.reshape(self.feature.shape).tolist() if isinstance(self.feature, Tensor) else numbers[0].item()

    def _from_binary(self, data: memoryview) -> npt.NDArray[Any]:
        dtype = np.dtype(self.datatype.dtype)
        wanted, got = math.prod(self.shape) * dtype.itemsize, len(data)
        if wanted != got:
            self._refuse(f"the {wanted} bytes of {self.datatype.name} of shape {list(self.shape)}", f"{got} bytes")
        if dtype == np.bool_:
            return self._booleans(data)
        numbers = np.frombuffer(data, dtype)
        # JSON of any length stands before it; Arrow's kernels want values at multiples of their size.
        return numbers if numbers.flags.aligned else numbers.copy()

    def _booleans(self, data: memoryview) -> npt.NDArray[np.bool_]:
        bits = np.frombuffer(data, np.uint8)
        if bits.max() > 1:
            self._refuse("bytes of 0 or 1", f"{bits.max()}")
        return bits.view(np.bool_)

    def _from_json(self, data: list[Any]) -> npt.NDArray[Any]:
        elements = self._elements(data)
        try:
            with np.errstate(over="ignore"):
                numbers = np.array(elements, self.datatype.dtype)
        except OverflowError as error:
            self._refuse(f"within {self.datatype.name}", str(error))
        if numbers.dtype.kind == "f":
            for place in np.flatnonzero(np.isinf(numbers)).tolist():
                if math.isfinite(elements[place]):  # an infinity itself is for the encoder to refuse
                    self._refuse(f"within {self.datatype.name}", str(elements[place]))
        return numbers

    def _texts(self, data: list[Any]) -> pa.Array:
        try:
            return pa.array(self._elements(data), pa.large_string())
        except UnicodeEncodeError:
            self._refuse("texts in Unicode", "half a surrogate pair")

    def _elements(self, elements: list[Any]) -> list[Any]:
        """Return the JSON elements, flat."""
        shape = self.shape
        if len(elements) == shape[0] and isinstance(elements[0], list):
            for length in shape[1:]:
                strange = next((each for each in elements if not isinstance(each, list) or len(each) != length), None)
                if strange is not None:
                    got = f"a list of {len(strange)}" if isinstance(strange, list) else kind_of(strange)
                    self._refuse(f"nested as the shape {list(shape)} says, or flat", f"{got} for one of {length}")
                elements = list(chain.from_iterable(elements))
        if len(elements) != math.prod(shape):
            self._refuse(f"the {math.prod(shape)} elements of shape {list(shape)}", f"{len(elements)}")
        if not self.datatype.json.issuperset(map(type, elements)):
            row, strange = next((i, each) for i, each in enumerate(elements) if type(each) not in self.datatype.json)
            got = f"{kind_of(strange)} in row {row * shape[0] // len(elements)}"
            self._refuse(f"{self.datatype.called} as {self.datatype.name}", got)
        return elements

    def _refuse(self, wanted: str, got: str) -> NoReturn:
        name = self.feature.name
        message = f"feature {name!r} must be {wanted}; got {got}"
        raise InvalidInput(message, cause="bad_body", feature=name)


def datatype_named(name: object, feature: Feature) -> Datatype:
    """Return the datatype of a feature's values.

    Raises:
        InvalidInput: it is unknown, or the feature cannot have it.
    """
    choices = _NUMBERS if isinstance(feature, Tensor) else DATATYPES
    if not isinstance(name, str) or name not in choices:
        got = repr(name[:40]) if isinstance(name, str) else kind_of(name)
        message = f"feature {feature.name!r} must have a datatype of {', '.join(choices)}; got {got}"
        raise InvalidInput(message, cause="bad_body", feature=feature.name)
    return choices[name]


def checked_shape(shape: object, feature: Feature) -> tuple[int, ...]:
    """Return the shape of a feature's values: (n,) or (n, 1), of a tensor feature (n, *the feature's); n is 1 or more.

    Raises:
        InvalidInput: it is another.
    """
    inner = [list(feature.shape)] if isinstance(feature, Tensor) else _INNER
    integers = isinstance(shape, list) and {int}.issuperset(map(type, shape))
    if isinstance(shape, list) and integers and shape and shape[0] > 0 and shape[1:] in inner:
        return tuple(shape)
    wanted = " or ".join(f"[{', '.join(['N', *map(str, each)])}]" for each in inner)
    got = kind_of(shape)
    if isinstance(shape, list):  # what is no integer may nest deeper than Python can print
        got = str(shape)[:80] if integers else "a list of others than integers"
    message = f"feature {feature.name!r} must have shape {wanted} with N at least 1; got {got}"
    raise InvalidInput(message, cause="bad_body", feature=feature.name)
