"""The feature space: ordered features, how rows encode, and the numbering of a finite space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.crew import Crew, crew_of_cores
from engine.encoded import Encoded
from engine.encoder import BucketedEncoder, CategoricalEncoder, Encoder, Errors, encode_each, encoder_of
from engine.errors import BadSettings, InvalidInput
from engine.feature import Feature, IndexFeature, Number, Tensor, feature_from_json
from engine.inputs import Inputs
from engine.manifest import canonical_json, sha256
from engine.numbering import Numbering

# A column of so many rows takes 30 us and more, which is what it costs to ask for help.
_SHARED_ROWS = 1 << 12
# Of so many a column takes about a millisecond: all cores, whatever else they have to do.
_THREADED_ROWS = 1 << 16
# Of one row.
_NO_NUMBERS = np.empty((0, 1), np.float32)
Column: TypeAlias = "pa.Array | pa.ChunkedArray | list[object]"


class FeatureSpace:
    """Ordered features. The order is part of a space: it decides ordinals and the layout of model input.

    Attributes:
        features: in order.
        names: their names.
        named: each by its name.
        numbering: ordinals of a finite space; None where some feature is a number or a tensor.
        fingerprint: SHA-256 of the declaration, as hex. Two spaces with the same one encode alike.
    """

    def __init__(self, features: Iterable[Feature]) -> None:
        """Compile the encoders.

        Raises:
            BadSettings: no feature, or two of one name.
        """
        self.features = tuple(features)
        self.names = tuple(feature.name for feature in self.features)
        if not self.features or len(set(self.names)) != len(self.names):
            message = f"a feature space must have features of distinct names; got {list(self.names)}"
            raise BadSettings(message)
        self.named = {feature.name: feature for feature in self.features}
        self._encoders: dict[str, Encoder] = {feature.name: encoder_of(feature) for feature in self.features}
        self.index_features = tuple(feature for feature in self.features if isinstance(feature, IndexFeature))
        self._index = [e for e in self._encoders.values() if isinstance(e, (CategoricalEncoder, BucketedEncoder))]
        self.number_features = tuple(feature for feature in self.features if isinstance(feature, Number))
        self.tensor_features = tuple(feature for feature in self.features if isinstance(feature, Tensor))
        finite = len(self.index_features) == len(self.features)
        self.numbering = Numbering([feature.size for feature in self.index_features]) if finite else None
        self.fingerprint = sha256(canonical_json(self.to_json()))
        strides = self.numbering.strides if self.numbering else ()
        self._codes = [
            (encoder.feature.name, _Codes(encoder, stride, encoder.feature.size))
            for encoder, stride in zip(self._index, strides, strict=False)  # a space that is not finite has no strides
        ]

    @property
    def size(self) -> int:
        """Rows in the space.

        Raises:
            BadSettings: the space is not finite.
        """
        return self._finite().size

    def encode_row(self, row: Mapping[str, object]) -> Inputs:
        """Encode one row of raw values by feature name.

        Raises:
            InvalidInput: a feature is missing, not of this space, or its value cannot be encoded.
        """
        if row.keys() != self._encoders.keys():
            self._check_names(row)
        values = [encoder.one(row[name]) for name, encoder in self._encoders.items()]
        if self.numbering is not None:  # all of one kind
            return Inputs(np.array(values, np.int32).reshape(-1, 1), _NO_NUMBERS)
        encoded = dict(zip(self.names, values, strict=True))
        return Inputs(
            np.array([encoded[feature.name] for feature in self.index_features], np.int32).reshape(-1, 1),
            np.array([encoded[feature.name] for feature in self.number_features], np.float32).reshape(-1, 1),
            tuple(np.asarray(encoded[feature.name], np.float32)[np.newaxis] for feature in self.tensor_features),
        )

    def encode(self, table: pa.Table | pa.RecordBatch, crew: Crew | None = None) -> Encoded:
        """Encode Arrow columns of raw values, with a crew's help. Columns that are no feature are not read.

        Never raises for a bad row: it is a fault of the result.
        """
        given = set(table.schema.names)
        return self._encode_columns(
            {name: table.column(name) for name in self.names if name in given}, table.num_rows, crew
        )

    def encode_rows(self, rows: Sequence[Mapping[str, object]]) -> Encoded:
        """Encode rows of raw values, as JSON gives them: a column may mix types, and each row is judged alone."""
        faults: Errors = {}
        values = self._whole_columns(rows)
        if values is None:
            for number, row in enumerate(rows):
                try:
                    self._check_names(row)
                except InvalidInput as error:
                    faults[number] = error.with_traceback(None)
            values = [[row.get(name) for row in rows] for name in self.names]
        encoded = self._encode_columns(dict(zip(self.names, values, strict=True)), len(rows))
        return Encoded(encoded.inputs, {**encoded.faults, **faults})

    def _whole_columns(self, rows: Sequence[Mapping[str, object]]) -> list[list[object]] | None:
        """Return the values by feature where every row has each feature and nothing else; else None. Runs no loop."""
        if set(map(len, rows)) != {len(self.names)}:
            return None
        try:
            return [list(map(itemgetter(name), rows)) for name in self.names]
        except KeyError:
            return None

    def ordinals(self, inputs: Inputs) -> npt.NDArray[np.int64]:
        """Return the ordinals of encoded rows, int64 of shape (n,); -1 where the table has no such row."""
        return self._finite().ordinals(inputs.index)

    def inputs_of(self, start: int, stop: int) -> Inputs:
        """Return the encoded rows of the ordinals ``start`` to ``stop - 1``."""
        index = self._finite().digits(start, stop)
        return Inputs(index, np.empty((0, stop - start), np.float32))

    def inputs_at(self, ordinals: npt.NDArray[np.int64]) -> Inputs:
        """Return the encoded rows of any ordinals within the space, int64 of shape (n,)."""
        return self._finite().inputs(ordinals)

    def row(self, ordinal: int) -> dict[str, str | float]:
        """Return raw values that encode to an ordinal."""
        digits = self._finite().digits(ordinal, ordinal + 1)[:, 0]
        return {f.name: f.raw(int(digit)) for f, digit in zip(self.index_features, digits, strict=True)}

    def ordinal_of(self, row: Mapping[str, object]) -> int:
        """Return the ordinal of one raw row, or -1 where the table has none: the fast path of a lookup.

        Raises:
            BadSettings: the space is not finite.
            InvalidInput: as ``encode_row``.
        """
        if not self._codes:
            self._finite()
        ordinal = 0
        try:
            for name, codes in self._codes:
                value = row[name]
                kind = value.__class__
                # Others may equal a category and not be it, as True == 1.
                ordinal += codes[value] if kind is str or kind is int else codes.__missing__(value)
        except (_Miss, KeyError, InvalidInput):  # the long way finds what the row's first fault is, or that it has none
            self._check_names(row)
            return self._finite().ordinal([encoder.one(row[encoder.feature.name]) for encoder in self._index])
        if len(row) != len(self._codes):
            self._check_names(row)
        return ordinal

    def to_json(self) -> dict[str, Any]:
        """Return a plain form that ``from_json`` reads back."""
        return {"features": [feature.to_json() for feature in self.features]}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> FeatureSpace:
        """Build from what ``to_json`` gave."""
        return cls(feature_from_json(item) for item in fields["features"])

    def _finite(self) -> Numbering:
        if self.numbering is None:
            endless = [feature.name for feature in self.features if not isinstance(feature, IndexFeature)]
            message = (
                f"a lookup table needs a finite feature space; got {', '.join(endless)}, which are numbers or tensors. "
                "Declare them Bucketed, or publish without a table"
            )
            raise BadSettings(message)
        return self.numbering

    def _check_names(self, row: Mapping[str, object]) -> None:
        for name in self.names:
            if name not in row:
                message = f"feature {name!r} must be given; got {_listed(row)}"
                raise InvalidInput(message, cause="missing_feature", feature=name)
        for name in row:
            if name not in self._encoders:
                message = f"feature {str(name)[:80]!r} must be one of {', '.join(self.names)}. Remove it"
                raise InvalidInput(message, cause="extra_feature", feature=str(name)[:80])

    def _encode_columns(self, columns: Mapping[str, Column], rows: int, crew: Crew | None = None) -> Encoded:
        faults: Errors = {}
        parts: dict[str, npt.NDArray[Any]] = {}
        missing = next((name for name in self.names if name not in columns), None)
        if missing is not None:
            message = f"feature {missing!r} must be given; got columns {_listed(columns)}"
            error = InvalidInput(message, cause="missing_feature", feature=missing)
            faults = dict.fromkeys(range(rows), error)
        given = [(encoder, columns.get(name), rows) for name, encoder in self._encoders.items()]
        if rows >= _THREADED_ROWS:
            crew = crew_of_cores()
        elif rows < _SHARED_ROWS:
            crew = None
        encoded = crew.map(_encode_column, given) if crew else list(map(_encode_column, given))
        for name, (codes, errors) in zip(self.names, encoded, strict=True):
            parts[name] = codes
            for row, error in errors.items():
                faults.setdefault(row, error)
        inputs = Inputs(
            _stacked([parts[feature.name] for feature in self.index_features], rows, np.int32),
            _stacked([parts[feature.name] for feature in self.number_features], rows, np.float32),
            tuple(parts[feature.name] for feature in self.tensor_features),
        )
        return Encoded(inputs, faults)


class _Miss(Exception):  # a signal, not an error
    """The row is valid, and the table has no place for it."""


class _Codes(dict[object, int]):
    """Raw value -> its share of the ordinal. What is not an exact category goes through the encoder."""

    def __init__(self, encoder: CategoricalEncoder | BucketedEncoder, stride: int, size: int) -> None:
        super().__init__({value: index * stride for value, index in encoder.exact().items()})
        self._one, self._stride, self._size = encoder.one, stride, size

    def __missing__(self, value: object) -> int:
        index = self._one(value)
        if index >= self._size:
            raise _Miss
        return index * self._stride


def _encode_column(given: tuple[Encoder, Column | None, int]) -> tuple[npt.NDArray[Any], Errors]:
    encoder, column, rows = given
    if column is None:
        return encoder.blank(rows), {}
    if isinstance(column, list):
        codes = encoder.texts(column) if isinstance(encoder, CategoricalEncoder) else None
        if codes is not None:
            return codes, {}
        column = _column(column)
        if isinstance(column, list):
            return encode_each(encoder, column)
    return encoder.many(_contiguous(column))


def _contiguous(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return column


def _column(values: list[object]) -> pa.Array | list[object]:
    """Return raw JSON values as an Arrow column, or as they are where no one Arrow type keeps them apart."""
    kinds = set(map(type, values)) - {type(None)}
    if len(kinds) > 1:
        return values
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):  # the last: half a surrogate pair
        return values


def _stacked(columns: list[npt.NDArray[Any]], rows: int, dtype: type[np.generic]) -> npt.NDArray[Any]:
    return np.stack(columns) if columns else np.empty((0, rows), dtype)


def _listed(names: Iterable[object]) -> str:
    shown = [str(name)[:40] for name in names][:12]
    return ", ".join(shown) or "none"
