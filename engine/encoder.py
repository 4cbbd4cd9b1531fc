"""Encoders: raw values of one feature to model input, one at a time and a column at a time.

``one`` is the meaning; ``many`` only takes short cuts to the same result. What a short cut does not recognise goes
through ``one``, once per distinct value, so the two cannot drift apart.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from engine.coerce import NUMBER_PATTERN, category_text, number_value
from engine.errors import EngineBug, InvalidInput
from engine.feature import Bucketed, Categorical, Feature, Number, Tensor, Unknown

Errors = dict[int, InvalidInput]
# How large integer categories may be for a table from integer to index: 256 KiB, which stay in the cache.
_DIRECT_INTEGERS = 1 << 16
T = TypeVar("T")


class CategoricalEncoder:
    """Categories to positions in the vocabulary."""

    def __init__(self, feature: Categorical) -> None:
        """Index the vocabulary."""
        self.feature = feature
        self._positions = {text: position for position, text in enumerate(feature.values)}
        self._value_sets: dict[pa.DataType, tuple[pa.Array, npt.NDArray[np.int32] | None]] = {}
        self._direct = _direct_table(self._positions)
        self._direct_gaps = bool((self._direct < 0).any())

    def one(self, value: object) -> int:
        """Return the index of a raw value; raise ``InvalidInput`` where it has none."""
        position = self._positions.get(value) if type(value) is str else None  # as it stands, as most are
        if position is not None:
            return position
        text = _named(category_text, value, self.feature)
        position = self._positions.get(text)
        if position is not None:
            return position
        if self.feature.unknown is Unknown.REJECT:
            raise self.feature.unknown_error(text)
        return len(self._positions)

    def blank(self, rows: int) -> npt.NDArray[np.int32]:
        """Return zeros of shape (rows,)."""
        return np.zeros(rows, np.int32)

    def exact(self) -> dict[object, int]:
        """Return the raw texts and integers that are categories as they stand, with their indices."""
        exact: dict[object, int] = dict(self._positions.items())
        exact.update({int(text): position for text, position in self._positions.items() if _is_integer(text)})
        return exact

    def texts(self, values: list[Any]) -> npt.NDArray[np.int32] | None:
        """Return int32 indices of raw values that are all categories as they stand, as texts; None where some are not.

        For Python's objects this takes half the time of an Arrow column, which would be made of them first.
        """
        try:
            return np.fromiter(map(self._positions.__getitem__, values), np.int32, len(values))
        except (KeyError, TypeError):  # the latter: lists cannot be looked up
            return None

    def many(self, column: pa.Array) -> tuple[npt.NDArray[np.int32], Errors]:
        """Return int32 indices of shape (n,), 0 where a row has an error, and the errors by row."""
        if pa.types.is_dictionary(column.type):
            return self._through_dictionary(column)
        if not _has_short_cut(column.type):
            return _distinct(column, self)
        codes = self._many_integers(column)
        if codes is not None:
            return codes, {}
        value_set, positions = self._value_set(column.type)
        found = pc.index_in(column, value_set=value_set)
        codes = (found.fill_null(0) if found.null_count else found).to_numpy()
        if positions is not None:
            codes = positions[codes]
        if not found.null_count:
            return codes, {}
        codes = codes.copy()
        strange = np.flatnonzero(found.is_null().to_numpy(zero_copy_only=False))
        rest, rest_errors = _distinct(column.take(pa.array(strange)), self)
        codes[strange] = rest
        return codes, {int(strange[row]): error for row, error in rest_errors.items()}

    def _many_integers(self, column: pa.Array) -> npt.NDArray[np.int32] | None:
        """Return the indices of integers by one gather, half the time of hashing; None where some have none."""
        if not len(self._direct) or not pa.types.is_integer(column.type) or column.null_count:
            return None
        integers = column.to_numpy()
        if (integers.view(f"u{integers.itemsize}") >= len(self._direct)).any():  # what is negative is large there
            return None
        codes = self._direct[integers]
        return None if self._direct_gaps and (codes < 0).any() else codes

    def _value_set(self, kind: pa.DataType) -> tuple[pa.Array, npt.NDArray[np.int32] | None]:
        if kind not in self._value_sets:
            texts: Iterable[str] = self._positions
            if pa.types.is_integer(kind):
                texts = [text for text in texts if _is_integer(text) and _fits(int(text), kind)]
                values = pa.array([int(text) for text in texts], kind)
            else:
                values = pa.array(list(texts), kind)
            positions = np.array([self._positions[text] for text in texts], np.int32)
            # Texts stand in the vocabulary's order, which spares the gather: a sixth of the time of encoding.
            in_order = np.array_equal(positions, np.arange(len(positions)))
            self._value_sets[kind] = values, None if in_order else positions
        return self._value_sets[kind]

    def _through_dictionary(self, column: pa.DictionaryArray) -> tuple[npt.NDArray[np.int32], Errors]:
        """Encode each dictionary entry once; an entry that no row uses cannot be an error."""
        entries, entry_errors = self.many(column.dictionary)
        return _gather(column.indices, entries, entry_errors, self)


class NumberEncoder:
    """Numbers to float32."""

    def __init__(self, feature: Feature) -> None:
        """Keep the feature, for its name."""
        self.feature = feature

    def one(self, value: object) -> float:
        """Return the raw value as a float that float32 holds exactly; raise ``InvalidInput`` where it is none."""
        return _named(number_value, value, self.feature)

    def blank(self, rows: int) -> npt.NDArray[np.float32]:
        """Return zeros of shape (rows,)."""
        return np.zeros(rows, np.float32)

    def many(self, column: pa.Array) -> tuple[npt.NDArray[np.float32], Errors]:
        """Return float32 of shape (n,), 0 where a row has an error, and the errors by row."""
        wide = _float64(column)
        with np.errstate(over="ignore", invalid="ignore"):
            numbers = wide.astype(np.float32) + np.float32(0)  # -0.0 becomes 0.0
        errors: Errors = {}
        for row in np.flatnonzero(~np.isfinite(numbers)).tolist():
            try:
                numbers[row] = self.one(_python_value(column[row]))
            except InvalidInput as error:
                numbers[row] = 0
                errors[row] = error.with_traceback(None)
        return numbers, errors


class BucketedEncoder:
    """Numbers to buckets."""

    def __init__(self, feature: Bucketed) -> None:
        """Keep the edges in both forms."""
        self.feature = feature
        self._numbers = NumberEncoder(feature)
        self._edges = np.array(feature.edges, np.float32)

    def one(self, value: object) -> int:
        """Return the bucket of a raw number; raise ``InvalidInput`` where it is none."""
        return bisect_right(self.feature.edges, self._numbers.one(value))

    def blank(self, rows: int) -> npt.NDArray[np.int32]:
        """Return zeros of shape (rows,)."""
        return np.zeros(rows, np.int32)

    def exact(self) -> dict[object, int]:
        """Return nothing: no raw number is a bucket as it stands."""
        return {}

    def many(self, column: pa.Array) -> tuple[npt.NDArray[np.int32], Errors]:
        """Return int32 buckets of shape (n,), 0 where a row has an error, and the errors by row."""
        numbers, errors = self._numbers.many(column)
        buckets = np.searchsorted(self._edges, numbers, side="right").astype(np.int32)
        if errors:
            buckets[list(errors)] = 0
        return buckets, errors


class TensorEncoder:
    """Nested or flat lists of numbers to float32 tensors."""

    def __init__(self, feature: Tensor) -> None:
        """Keep the shape and its volume."""
        self.feature = feature
        self._volume = int(np.prod(feature.shape))

    def one(self, value: object) -> npt.NDArray[np.float32]:
        """Return a float32 of the feature's shape; raise ``InvalidInput`` where the value is none."""
        name, shape = self.feature.name, self.feature.shape
        if value is None:
            message = f"feature {name!r} must be a tensor of shape {shape}; got null"
            raise InvalidInput(message, cause="null", feature=name)
        try:
            array = np.asarray(value)
        except ValueError:  # ragged lists
            array = np.asarray(None)
        if array.dtype.kind not in "iuf" or array.shape not in {shape, (self._volume,)}:
            message = f"feature {name!r} must be numbers of shape {shape}; got {array.dtype} of shape {array.shape}"
            raise InvalidInput(message, cause="wrong_type", feature=name)
        with np.errstate(over="ignore"):
            tensor = array.astype(np.float32).reshape(shape)
        if not np.isfinite(tensor).all():
            message = f"feature {name!r} must be finite as float32; got NaN or an infinity"
            raise InvalidInput(message, cause="not_finite", feature=name)
        return tensor

    def blank(self, rows: int) -> npt.NDArray[np.float32]:
        """Return zeros of shape (rows, *shape)."""
        return np.zeros((rows, *self.feature.shape), np.float32)

    def many(self, column: pa.Array) -> tuple[npt.NDArray[np.float32], Errors]:
        """Return float32 of shape (n, *shape), 0 where a row has an error, and the errors by row."""
        flat = column.storage if isinstance(column, pa.ExtensionArray) else column
        if self._is_flat(flat):
            values = flat.flatten().to_numpy(zero_copy_only=False).reshape(-1, *self.feature.shape)
            with np.errstate(over="ignore"):
                tensors = values.astype(np.float32)
            if np.isfinite(tensors).all():
                return tensors, {}
        return encode_each(self, _python_values(flat))

    def _is_flat(self, column: pa.Array) -> bool:
        kind = column.type
        return (
            pa.types.is_fixed_size_list(kind)
            and kind.list_size == self._volume
            and pa.types.is_floating(kind.value_type)
            and not column.null_count
            and not column.flatten().null_count
        )


Encoder = CategoricalEncoder | BucketedEncoder | NumberEncoder | TensorEncoder


def encoder_of(feature: Feature) -> Encoder:
    """Return the encoder of a feature, by its kind."""
    if isinstance(feature, Categorical):
        return CategoricalEncoder(feature)
    if isinstance(feature, Bucketed):
        return BucketedEncoder(feature)
    if isinstance(feature, Tensor):
        return TensorEncoder(feature)
    if isinstance(feature, Number):
        return NumberEncoder(feature)
    message = f"feature kind {type(feature).__name__} has no encoder"
    raise EngineBug(message)


def _named(coerce: Callable[[object], T], value: object, feature: Feature) -> T:
    try:
        return coerce(value)
    except InvalidInput as error:
        named = InvalidInput(f"feature {feature.name!r} {error}", cause=error.cause, feature=feature.name)
    raise named  # here, where the first error is no context that it would keep


def encode_each(encoder: Encoder, values: list[Any]) -> tuple[npt.NDArray[Any], Errors]:
    """Encode raw values through ``one``; return as ``many`` does."""
    encoded = encoder.blank(len(values))
    errors: Errors = {}
    for position, value in enumerate(values):
        try:
            encoded[position] = encoder.one(value)
        except InvalidInput as error:
            errors[position] = error.with_traceback(None)  # which would keep these values, and this frame
    return encoded, errors


def _distinct(column: pa.Array, encoder: CategoricalEncoder) -> tuple[npt.NDArray[np.int32], Errors]:
    """Encode a column through ``one``, once per distinct value where Arrow can tell values apart."""
    try:
        column = column.dictionary_encode()
    except pa.ArrowNotImplementedError:  # nested types
        return encode_each(encoder, _python_values(column))
    entries, errors = encode_each(encoder, _python_values(column.dictionary))
    return _gather(column.indices, entries, errors, encoder)


def _python_values(column: pa.Array) -> list[Any]:
    return [_python_value(scalar) for scalar in column]


def _python_value(scalar: pa.Scalar) -> object:
    """Return a scalar as Python has it; its type, which is always refused, where Python has none.

    That is a far time, a decimal of an odd scale, broken UTF-8.
    """
    try:
        return scalar.as_py()
    except (ArithmeticError, ValueError):
        return scalar.type


def _gather(
    indices: pa.Array, entries: npt.NDArray[np.int32], entry_errors: Errors, encoder: CategoricalEncoder
) -> tuple[npt.NDArray[np.int32], Errors]:
    """Spread encoded dictionary entries over the rows that use them; null rows use one entry more, ``one(None)``."""
    if indices.null_count:
        null = len(entries)
        null_code, null_errors = encode_each(encoder, [None])
        entries = np.concatenate([entries, null_code])
        entry_errors = {**entry_errors, null: null_errors[0]}
        indices = indices.cast(pa.int64()).fill_null(null)  # an int8 may have no room for one more
    places = indices.to_numpy(zero_copy_only=False)
    if not entry_errors:
        return entries[places], {}
    bad = np.zeros(len(entries), bool)
    bad[list(entry_errors)] = True
    return entries[places], {int(row): entry_errors[int(places[row])] for row in np.flatnonzero(bad[places])}


def _float64(column: pa.Array) -> npt.NDArray[np.float64]:
    """Return a column as float64; NaN where Arrow has no short cut, so that ``one`` decides."""
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        numeric = pc.match_substring_regex(column, f"^(?:{NUMBER_PATTERN})$")
        texts = pc.if_else(numeric, column, pa.scalar(None, column.type))
        return np.asarray(pc.cast(texts, pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    return np.full(len(column), np.nan)


def _direct_table(positions: Mapping[str, int]) -> npt.NDArray[np.int32]:
    """Return the index of each integer from 0 on, -1 where it is no category; empty where some are too large for it."""
    integers = {int(text): position for text, position in positions.items() if _is_integer(text)}
    if not integers or min(integers) < 0 or max(integers) >= _DIRECT_INTEGERS:
        return np.empty(0, np.int32)
    table = np.full(max(integers) + 1, -1, np.int32)
    table[list(integers)] = list(integers.values())
    return table


def _has_short_cut(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind))


def _is_integer(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and str(int(text)) == text


def _fits(value: int, kind: pa.DataType) -> bool:
    limits = np.iinfo(kind.to_pandas_dtype())  # numpy's type, with or without pandas
    return bool(limits.min <= value <= limits.max)
