"""Records as rows: JSON (an object is a row, a list of objects rows), or an Arrow stream."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from engine.errors import InvalidInput, TooManyRows
from engine.space import FeatureSpace
from engine.wire.arrow_columns import check_columns
from engine.wire.arrow_stream import parse_arrow
from engine.wire.json_document import kind_of, may_repeat_keys, parse_json
from streaming.record import Record

# How a stream begins: no text does.
_ARROW = b"\xff\xff\xff\xff"
# A column's texts, of which rows may share one, against the record: less would refuse honest dictionaries, more would
# let a record take a gigabyte.
_WRITTEN_OUT_TIMES, _LEAST_BYTES = 8, 8 << 20


class Asked(NamedTuple):
    """Where a record's rows are.

    Attributes:
        table: the number of its table in ``Decoded.tables``; None where its rows are in ``Decoded.rows``.
        first: its first row there.
        rows: how many; 1 may be a row, or a list of one.
        single: whether it is one row, and not a list.
    """

    table: int | None
    first: int
    rows: int
    single: bool = False


@dataclass
class Decoded:
    """The rows of some records.

    Attributes:
        asked: by record, in their order; or why it cannot be read.
        rows: raw values by feature name, of all JSON records.
        tables: raw columns, one an Arrow record.
    """

    asked: list[Asked | InvalidInput] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    tables: list[pa.Table] = field(default_factory=list)


def decode(records: Sequence[Record], space: FeatureSpace, *, max_rows: int) -> Decoded:
    """Read records; values are not judged here, but by the space's encoders. Raises nothing for a bad record."""
    rows = _objects(records)
    if rows is not None:
        return Decoded([Asked(None, place, 1, single=True) for place in range(len(rows))], rows)
    decoded = Decoded()
    for record in records:
        try:
            decoded.asked.append(_decode(record.value, decoded, space, max_rows))
        except InvalidInput as error:
            decoded.asked.append(error)
    return decoded


def _objects(records: Sequence[Record]) -> list[dict[str, Any]] | None:
    """Return the row of each record by one call of the reader; None where some are no single rows, or have faults.

    Between the records stands what nobody can have guessed: else one could be written so that the next became part of
    it.
    """
    values = [record.value for record in records]
    if None in values:
        return None
    mark = secrets.token_hex(8)
    try:
        joined = b"[" + f',"{mark}",'.encode().join(values) + b"]"  # type: ignore[arg-type]
        document = orjson.loads(joined)
        rows: list[dict[str, Any]] = document[0::2]
        if len(rows) != len(values) or document[1::2] != [mark] * (len(rows) - 1) or set(map(type, rows)) != {dict}:
            return None
        return None if may_repeat_keys(joined, rows) else rows
    except (orjson.JSONDecodeError, TypeError):
        return None


def _decode(value: bytes | None, decoded: Decoded, space: FeatureSpace, max_rows: int) -> Asked:
    if value is None:
        message = "a request must have a value; got none (a tombstone)"
        raise InvalidInput(message, cause="no_value")
    if value.startswith(_ARROW):
        table = parse_arrow(value, max_rows=max_rows)
        check_columns(table, space.names, limit_bytes=max(_WRITTEN_OUT_TIMES * len(value), _LEAST_BYTES))
        decoded.tables.append(table)
        return Asked(len(decoded.tables) - 1, 0, table.num_rows)
    document = parse_json(value, what="a request")
    first = len(decoded.rows)
    if isinstance(document, dict):
        decoded.rows.append(document)
        return Asked(None, first, 1, single=True)
    if not isinstance(document, list) or not document:
        message = f"a request must be a JSON object, a list of them or an Arrow stream; got {kind_of(document)}"
        raise InvalidInput(message, cause="bad_body")
    if len(document) > max_rows:
        message = f"a request must have {max_rows} rows or fewer; got {len(document)}. Send several requests"
        raise TooManyRows(message, cause="too_many_rows")
    strange = next((place for place, row in enumerate(document) if not isinstance(row, dict)), None)
    if strange is not None:
        message = f"row {strange} must be an object of {', '.join(space.names)}; got {kind_of(document[strange])}"
        raise InvalidInput(message, cause="bad_body")
    decoded.rows += document
    return Asked(None, first, len(document))
