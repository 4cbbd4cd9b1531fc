"""Kept columns: what of a row goes into the output beside its answers, each with one type over the whole job."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import BadSettings, InvalidInput
from jobs.scoring.chunk import Chunk, json_text, python_value

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
_CHOICE = re.compile(r"(?P<name>.+?)(?::(?P<type>\w+))?", re.DOTALL)


def kept_schema(
    choices: Sequence[str] | None, schemas: Iterable[pa.Schema | None], in_path: Collection[str] = ()
) -> pa.Schema:
    """Return the kept columns, less those of the partitions' directories: these stay where they are.

    Args:
        choices: ``NAME`` or ``NAME:TYPE``; None is every column that some file has.
        schemas: of the files; None where each row has its own columns.
        in_path: columns of the partitions' directories.

    Raises:
        BadSettings: a choice is no column, no type or made twice; or all was asked for, and nobody knows what that is.
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
        return pa.schema([(name, _common(kinds)) for name, kinds in found.items() if name not in in_path])
    fields: dict[str, pa.DataType] = {}
    for choice in choices:
        name, kind = (choice, None) if choice in found else _choice(choice)
        if name not in found and name not in in_path and not open_ended:
            message = f"a kept column must be one of {', '.join(found)}; got {name!r}"
            raise BadSettings(message)
        if name in fields:
            message = f"a kept column must be named once; got {name!r} again"
            raise BadSettings(message)
        if name not in in_path:
            fields[name] = kind or (_common(found[name]) if name in found else pa.string())
    return pa.schema(list(fields.items()))


def kept_column(chunk: Chunk, field: pa.Field) -> tuple[pa.Array, dict[int, InvalidInput]]:
    """Return a chunk's column in its type, null where the file lacks it, and the rows whose value has no such form."""
    values = chunk.column(field.name)
    if values is None:
        return pa.nulls(len(chunk), field.type), {}
    column = values if isinstance(values, pa.Array) else _one_kind(values, field)
    if column is not None:
        if _is_text(column.type) and not _is_text(field.type):  # an empty field of a CSV file is no number, nor wrong
            values = column = pc.if_else(pc.equal(column, ""), None, column)
        try:
            cast = column if column.type == field.type else pc.cast(column, field.type)
            cast.validate(full=True)  # no reader of columnar files looks whether texts are UTF-8
            return cast, {}
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            pass
    return _each(values, field)


def _one_kind(values: Sequence[object], field: pa.Field) -> pa.Array | None:
    """Return values as a column where that changes none of them; None where they must be looked at one by one."""
    kinds = {type(value) for value in values} - {type(None)}
    if len(kinds) > 1 or not kinds <= ({str} if _is_text(field.type) else {str, int, float, bool}):
        return None
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        return None


def _each(values: Iterable[object], field: pa.Field) -> tuple[pa.Array, dict[int, InvalidInput]]:
    """Bring values into a type one by one: a wrong one must not cost its neighbours theirs."""
    cast: list[pa.Scalar] = []
    faults = {}
    for row, value in enumerate(values):
        try:
            cast.append(_cast(value, field.type))
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            cast.append(pa.scalar(None, field.type))
            shown = str(python_value(value) if isinstance(value, pa.Scalar) else value)[:80]
            message = f"column {field.name!r} must be {field.type}; got {shown!r}"
            faults[row] = InvalidInput(message, cause="wrong_type", feature=field.name)
    return pa.array(cast, field.type), faults


def _cast(value: object, kind: pa.DataType) -> pa.Scalar:
    """Return a raw value in a type; as a text, what is none is JSON."""
    if not isinstance(value, pa.Scalar):
        as_json = _is_text(kind) and not (value is None or isinstance(value, str))
        value = pa.scalar(json_text(value) if as_json else value)
    try:
        cast = pc.cast(value, kind)
    except pa.ArrowNotImplementedError:
        if not _is_text(kind):
            raise
        cast = pa.scalar(json_text(python_value(value)), kind)
    cast.validate(full=True)
    return cast


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


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
    except pa.ArrowException:
        return pa.string()
    common = unified.field("x").type
    return pa.string() if pa.types.is_decimal256(common) else common  # Spark reads no such number
