"""Where a record came from, as predictions and dead letters tell it."""

from __future__ import annotations

import orjson

from streaming.record import Record


def origin(record: Record) -> dict[str, object]:
    """Return topic, partition, offset and time of a record, for JSON."""
    topic, partition = record.partition
    return {"topic": topic, "partition": partition, "offset": record.offset, "timestamp_ms": record.timestamp_ms}


def origin_json(record: Record) -> bytes:
    """Return ``origin`` as JSON."""
    return orjson.dumps(origin(record))
