"""Requests that no stream can answer, of many kinds, and what their dead letters must say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa

from tests.support.stream_records import BAD, MISS, ROW, arrow

DEADLINE = "foretable-deadline"


class Poison(NamedTuple):
    """A request that has no answer.

    Attributes:
        kind: what is wrong with it.
        value: its value.
        cause: that its dead letter must tell.
        disposition: that it must have.
        headers: its headers.
    """

    kind: str
    value: bytes | None
    cause: str = "bad_body"
    disposition: str = "poison"
    headers: tuple[tuple[str, bytes | None], ...] = ()


def poisons(*, max_rows: int, larger_than: int) -> Iterator[Poison]:
    """Give them all.

    Args:
        max_rows: that the stream takes in one request.
        larger_than: bytes that the topic of the dead letters takes.
    """
    whole, row = arrow([ROW, MISS]), json.dumps(ROW).encode()
    yield Poison("not JSON", b"{")
    yield Poison("two documents", row + row)
    yield Poison("not UTF-8", b'{"city": "\xff\xfe"}')
    yield Poison("a number that is none", _row(age=float("nan")), "not_finite")
    yield Poison("nested deeper than any reader goes", b"[" * 100_000)
    yield Poison("a key twice", b'{"age": 1, ' + row[1:])
    yield Poison("neither a row nor rows", b'"row"')
    yield Poison("no rows", b"[]")
    yield Poison("rows among which one is none", b"[" + row + b", 7]")
    yield Poison("a value of a wrong type", _row(age="old"), "wrong_type")
    yield Poison("a list for a category", _row(city=["Zürich"]), "wrong_type")
    yield Poison("no value where one must be", _row(city=None), "null")
    yield Poison("an unknown category", json.dumps(BAD).encode(), "unknown_category")
    yield Poison("a feature that is missing", b"{}", "missing_feature")
    yield Poison("a feature that nobody knows", _row(price=1), "extra_feature")
    yield Poison("huge, of too many rows", json.dumps([ROW] * (max_rows + 1)).encode(), "too_many_rows")
    yield Poison("huge, and larger than the dead letters' topic takes", b"x" * (larger_than + 1))
    yield Poison("empty", b"")
    yield Poison("a tombstone", None, "no_value")
    yield Poison("an Arrow stream that is cut", whole[: len(whole) // 2])
    yield Poison("an Arrow stream without its end", whole[:-8])
    yield Poison("an Arrow stream with a flipped byte", whole[:9] + b"\xff" + whole[10:])
    yield Poison("an Arrow stream of no rows", _stream(pa.table({"city": pa.array([], pa.string())})))
    yield Poison("an Arrow stream of a wrong type", _stream(pa.table({"city": [{"name": "Zürich"}]})), "wrong_type")
    yield Poison("an Arrow stream that is compressed", _stream(pa.Table.from_pylist([ROW] * 200), "zstd"))
    yield Poison("a deadline that is no number", row, "bad_deadline", headers=((DEADLINE, b"tomorrow"),))
    yield Poison("a deadline without a value", row, "bad_deadline", headers=((DEADLINE, None),))
    yield Poison("a deadline that has passed", row, "deadline", "deadline", headers=((DEADLINE, b"1000"),))


def _row(**changed: object) -> bytes:
    return json.dumps({**ROW, **changed}).encode()


def _stream(table: pa.Table, compression: str | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())
