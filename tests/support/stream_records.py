"""Requests of a stream, as Kafka would bring them."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from streaming.record import Headers, Partition, Record

ROW = {"city": "São Paulo", "plan": "pro", "age": 33, "size": "2"}
MISS = {**ROW, "plan": "unheard of"}
BAD = {**ROW, "city": "Atlantis"}


def record(
    value: object, offset: int = 0, *, partition: int = 0, headers: Headers = (), key: bytes | None = None
) -> Record:
    """Return a request; what is not bytes or None becomes JSON."""
    data = value if isinstance(value, bytes) or value is None else json.dumps(value, ensure_ascii=False).encode()
    return Record(Partition("requests", partition), offset, 1_700_000_000_000, key, data, headers)


def arrow(rows: list[dict[str, Any]]) -> bytes:
    """Return rows as an Arrow stream."""
    table = pa.Table.from_pylist(rows)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())
