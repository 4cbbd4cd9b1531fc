"""Kept columns: what of a row goes into the output beside its answers, each with one type over the whole job."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import BadSettings, InvalidInput
from jobs.scoring.chunk import Chunk, json_text

_TYPES = {
    "string": pa.string(),
    "int64": pa.int64(),
    "int32": pa.int32(),
    "float64": pa.float64(),
    "float32": pa.float32(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}
_CHOICE = re.compile(r"(?P<name>.+?)(?::(?P<type>\w+))?")


def kept_schema(choices: Sequence[str] | None, schemas: Iterable[pa.Schema | None]) -> pa.Schema:
    """Return the kept columns.

    Args:
        choices: ``NAME`` or ``NAME:TYPE``; None is every column that some file has.
        schemas: of the files; None where each row has its own columns.

    Raises:
        BadSettings: a choice is no column or no type, or everything was asked for and nobody knows what that is.
    """
    found: dict[str, list[pa.DataType]] = {}
    open_ended = False
    for schema in schemas:
        if schema is None:
            open_ended = True
        else:
            for field in schema:
                found.setdefault(field.name, []).append(field.type)
    if choices is None:
        if open_ended:
            message = "JSON lines have no fixed columns: name those to keep (--keep id,day), or none (--keep none)"
            raise BadSettings(message)
        return pa.schema([(name, _common(kinds)) for name, kinds in found.items()])
    fields = []
    for choice in choices:
        name, kind = _choice(choice)
        if name not in found and not open_ended:
            message = f"a kept column must be one of {', '.join(found)}; got {name!r}"
            raise BadSettings(message)
        fields.append((name, kind or (_common(found[name]) if name in found else pa.string())))
    return pa.schema(fields)


def kept_column(chunk: Chunk, field: pa.Field) -> tuple[pa.Array, dict[int, InvalidInput]]:
    """Return a chunk's column in its type, null where the file lacks it, and the rows whose value has no such form."""
    values = chunk.column(field.name)
    if values is None:
        return pa.nulls(len(chunk), field.type), {}
    if isinstance(values, pa.Array):
        if values.type == field.type:
            return values, {}
        try:
            return pc.cast(values, field.type), {}
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            values = values.to_pylist()
    return _each(values, field)


def _each(values: Sequence[object], field: pa.Field) -> tuple[pa.Array, dict[int, InvalidInput]]:
    """Bring values into a type one by one: a wrong one must not cost its neighbours theirs."""
    if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
        texts = [value if value is None or isinstance(value, str) else json_text(value) for value in values]
        return pa.array(texts, field.type), {}
    cast: list[object] = []
    faults = {}
    for row, value in enumerate(values):
        try:
            cast.append(pc.cast(pa.scalar(value), field.type).as_py())
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            cast.append(None)
            message = f"column {field.name!r} must be {field.type}; got {str(value)[:80]!r}"
            faults[row] = InvalidInput(message, cause="wrong_type", feature=field.name)
    return pa.array(cast, field.type), faults


def _choice(text: str) -> tuple[str, pa.DataType | None]:
    match = _CHOICE.fullmatch(text)
    assert match is not None
    name, kind = match["name"], match["type"]
    if kind is not None and kind not in _TYPES:
        message = f"the type of a kept column must be one of {', '.join(_TYPES)}; got {text!r}"
        raise BadSettings(message)
    return name, _TYPES[kind] if kind else None


def _common(kinds: Sequence[pa.DataType]) -> pa.DataType:
    """Return a type that holds the values of all; text where numbers meet text."""
    plain = [kind.value_type if pa.types.is_dictionary(kind) else kind for kind in kinds]
    if all(kind == plain[0] for kind in plain):
        return plain[0]
    try:
        unified = pa.unify_schemas([pa.schema([("x", kind)]) for kind in plain], promote_options="permissive")
    except pa.ArrowTypeError:
        return pa.string()
    return unified.field("x").type
