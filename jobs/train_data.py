"""Training data: labelled Arrow tables to what Keras takes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.errors import InvalidInput
from engine.inputs import Inputs
from engine.output import Output, OutputSchema
from engine.space import FeatureSpace

# So many bad rows are left out and reported; more say that the definition and the data do not belong together.
_BAD_SHARE = 0.01


@dataclass(frozen=True)
class LabelledRows:
    """Encoded rows with their labels; rows that could not be encoded are gone.

    Attributes:
        table: the raw rows.
        inputs: the same rows, encoded.
        labels: float32 of shape (n, width), outputs side by side in their declared order.
        dropped: how many rows were left out.
        fault: why the first of them was; empty where none was.
    """

    table: pa.Table
    inputs: Inputs
    labels: npt.NDArray[np.float32]
    dropped: int = 0
    fault: str = ""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.inputs)


def labelled_rows(table: pa.Table, space: FeatureSpace, schema: OutputSchema, *, where: str) -> LabelledRows:
    """Encode a table of examples.

    Args:
        table: raw feature columns and one column per output.
        space: the features.
        schema: the outputs.
        where: what errors call the table.

    Raises:
        InvalidInput: a column is missing, there is no row, or 1 % of the rows or more are bad.
    """
    encoded = space.encode(table)
    labels = np.concatenate([_label(table, output, where) for output in schema.outputs], axis=1)
    faults = {row: str(error) for row, error in encoded.faults.items()}
    for row in np.flatnonzero(~np.isfinite(labels).all(axis=1)):
        faults.setdefault(int(row), "its label must be finite; got a null, NaN or an infinity")
    if not faults:
        if not len(encoded):
            message = f"{where}: must have rows; got none"
            raise InvalidInput(message)
        return LabelledRows(table, encoded.inputs, labels)
    first = min(faults)
    fault = f"row {first}: {faults[first]}"
    if len(faults) >= _BAD_SHARE * len(encoded):
        message = (
            f"{where}: fewer than {_BAD_SHARE:.0%} of the rows may be bad; got {len(faults):,} of {len(encoded):,}, "
            f"e.g. {fault}. Fix the data, or declare what it holds"
        )
        raise InvalidInput(message)
    ok = np.ones(len(encoded), bool)
    ok[list(faults)] = False
    return LabelledRows(
        table.filter(pa.array(ok)), encoded.inputs.take(np.flatnonzero(ok)), labels[ok], len(faults), fault
    )


def by_feature(inputs: Inputs, space: FeatureSpace) -> dict[str, npt.NDArray[Any]]:
    """Return a Keras model's inputs: feature name -> int32 (n,), float32 (n,) or float32 (n, *shape)."""
    columns: dict[str, npt.NDArray[Any]] = {}
    columns.update({f.name: column for f, column in zip(space.index_features, inputs.index, strict=True)})
    columns.update({f.name: column for f, column in zip(space.number_features, inputs.number, strict=True)})
    columns.update({f.name: column for f, column in zip(space.tensor_features, inputs.tensors, strict=True)})
    return columns


def by_output(labels: npt.NDArray[np.float32], schema: OutputSchema) -> dict[str, npt.NDArray[np.float32]]:
    """Return a Keras model's targets: output name -> float32 (n, width)."""
    return {name: labels[:, place] for name, place in schema.slices.items()}


def data_digest(rows: LabelledRows) -> str:
    """Return the SHA-256 of encoded rows and labels, as hex."""
    digest = hashlib.sha256()
    for array in (rows.inputs.index, rows.inputs.number, *rows.inputs.tensors, rows.labels):
        digest.update(str((array.dtype, array.shape)).encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).reshape(-1).data)
    return digest.hexdigest()


def _label(table: pa.Table, output: Output, where: str) -> npt.NDArray[np.float32]:
    """Return an output's labels, float32 of shape (n, width); NaN where one is null."""
    must = f"{where}: label {output.name!r} must be a float32 column" + (
        "" if output.width == 1 else f" of lists of {output.width}"
    )
    if output.name not in table.schema.names:
        message = f"{must}; got columns {', '.join(table.schema.names)}"
        raise InvalidInput(message)
    column = table.column(output.name)
    try:
        if output.width == 1 and not pa.types.is_nested(column.type):
            return np.asarray(column.cast(pa.float32()).fill_null(np.nan).to_numpy(), np.float32).reshape(-1, 1)
        lists = column.cast(pa.list_(pa.float32(), output.width)).combine_chunks()
        if isinstance(lists, pa.ChunkedArray):  # of no chunk
            return np.zeros((0, output.width), np.float32)
        labels = np.full((len(lists), output.width), np.nan, np.float32)
        valid = lists.is_valid().to_numpy(zero_copy_only=False)
        labels[valid] = lists.flatten().fill_null(np.nan).to_numpy(zero_copy_only=False).reshape(-1, output.width)
    except pa.ArrowException as error:
        message = f"{must}; got {column.type}: {error}"
        raise InvalidInput(message) from error
    return labels
