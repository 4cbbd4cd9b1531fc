"""Records as rows: JSON (an object is a row, a list of objects rows), or an Arrow stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, TypeAlias

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
_value = attrgetter("value")
Row: TypeAlias = dict[str, Any]


@dataclass
class Decoded:
    """The rows of some requests, each known by its place among the records.

    Attributes:
        rows: of the requests that are one row each: raw values by feature name.
        places: which request each of these is.
        lists: the rows of a request that is a list of them.
        tables: the raw columns of a request in Arrow.
        faults: why a request cannot be read.
    """

    rows: list[Row] = field(default_factory=list)
    places: Sequence[int] = ()
    lists: dict[int, list[Row]] = field(default_factory=dict)
    tables: dict[int, pa.Table] = field(default_factory=dict)
    faults: dict[int, InvalidInput] = field(default_factory=dict)


def decode(records: Sequence[Record], places: Sequence[int], space: FeatureSpace, *, max_rows: int) -> Decoded:
    """Read some of the records; values are not judged here, but by the space's encoders. Raises nothing for a bad one.

    Args:
        records: the requests.
        places: which of them.
        space: the features.
        max_rows: most rows in one request.
    """
    chosen = records if len(places) == len(records) else [records[place] for place in places]
    values: list[bytes | None] = list(map(_value, chosen))
    rows = _single_rows(values)
    if rows is not None:
        return Decoded(rows, places)
    decoded, singles = Decoded(), []
    for place, value in zip(places, values, strict=True):
        try:
            found = _decode(value, space, max_rows)
        except InvalidInput as error:
            decoded.faults[place] = error
            continue
        if isinstance(found, dict):
            decoded.rows.append(found)
            singles.append(place)
        elif isinstance(found, list):
            decoded.lists[place] = found
        else:
            decoded.tables[place] = found
    decoded.places = singles
    return decoded


def _single_rows(values: Sequence[bytes | None]) -> list[Row] | None:
    """Return the row of each, by no call of Python a record; None where some are no single rows, or have faults."""
    try:
        rows: list[Row] = list(map(orjson.loads, values))  # type: ignore[arg-type]  # None is no JSON either
    except orjson.JSONDecodeError:
        return None
    if set(map(type, rows)) - {dict}:
        return None
    # Objects behind one another: a key of one is no other's.
    return None if may_repeat_keys(b"".join(values), rows) else rows  # type: ignore[arg-type]


def _decode(value: bytes | None, space: FeatureSpace, max_rows: int) -> Row | list[Row] | pa.Table:
    if value is None:
        message = "a request must have a value; got none (a tombstone)"
        raise InvalidInput(message, cause="no_value")
    if value.startswith(_ARROW):
        table = parse_arrow(value, max_rows=max_rows)
        check_columns(table, space.names, limit_bytes=max(_WRITTEN_OUT_TIMES * len(value), _LEAST_BYTES))
        return table
    document = parse_json(value, what="a request")
    if isinstance(document, dict):
        return document
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
    return document
