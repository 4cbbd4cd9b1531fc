"""Answers as Arrow columns: what a row has once it is answered."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from engine.answer import Answers, Source
from engine.output import OutputSchema

# Every field may be null: below a row without a fault it is, and Arrow checks fields without regard to their struct.
FAULT_FIELDS = ("cause", "feature", "message")
FAULT = pa.struct([(name, pa.string()) for name in FAULT_FIELDS])
_SOURCES = pa.array([source.text for source in Source], pa.string())
_SOURCE = pa.dictionary(pa.int8(), pa.string())


def answer_schema(outputs: OutputSchema, prefix: str = "") -> pa.Schema:
    """Return the columns: float32 an output (a fixed list where it is wider than 1), ``source`` and ``release``.

    Args:
        outputs: of the model.
        prefix: before each name, where the input's columns have the same.
    """
    fields = [
        (f"{prefix}{output.name}", pa.float32() if output.width == 1 else pa.list_(pa.float32(), output.width))
        for output in outputs.outputs
    ]
    return pa.schema([*fields, (f"{prefix}source", _SOURCE), (f"{prefix}release", pa.int32())])


def answer_arrays(answers: Answers, outputs: OutputSchema, release: int) -> list[pa.Array]:
    """Return the columns' values, null where a row is at fault."""
    rows = len(answers.source)
    absent = answers.source == Source.NONE
    mask = absent if absent.any() else None
    arrays = []
    for output, place in zip(outputs.outputs, outputs.slices.values(), strict=True):
        values = np.ascontiguousarray(answers.values[:, place]).reshape(-1)
        if output.width == 1:
            arrays.append(pa.array(values, mask=mask))
        else:
            lists = pa.FixedSizeListArray.from_arrays(
                pa.array(values), output.width, mask=None if mask is None else pa.array(mask)
            )
            arrays.append(lists)
    arrays.append(pa.DictionaryArray.from_arrays(pa.array(answers.source.view(np.int8), mask=mask), _SOURCES))
    arrays.append(pa.array(np.full(rows, release, np.int32), mask=mask))
    return arrays


def fault_array(answers: Answers) -> pa.Array:
    """Return why rows have no answer, of the type ``FAULT``; null where a row has one."""
    rows, faults = len(answers.source), answers.faults
    if not faults:
        return pa.nulls(rows, FAULT)
    told = [{"cause": error.cause, "feature": error.feature, "message": str(error)} for error in faults.values()]
    places = np.full(rows, -1)
    places[list(faults)] = np.arange(len(faults))
    return pa.array(told, FAULT).take(pa.array(places, mask=places < 0))
