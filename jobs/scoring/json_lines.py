"""JSON lines input: one object a line; the values of a field may be of any kind, and each row is judged alone."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from engine.errors import InvalidInput
from engine.storage import Storage
from jobs.scoring.chunk import Chunk, Content
from jobs.scoring.format import FormatOptions, Shape, Wanted
from jobs.scoring.records import Records, byte_pieces, open_text, read_records

# A value nested deeper than orjson's 254 levels cannot be written again, nor walked by Python: a row in so many
# brackets is tried.
_SHALLOW_BRACKETS = 250


class JsonLinesFormat:
    """Reads files of JSON objects, one a line."""

    name = "jsonl"

    def __init__(self, options: FormatOptions) -> None:
        """Take the options, none of which is for this format."""

    def shape(self, storage: Storage, path: str, piece_bytes: int) -> Shape:
        """Cut a file at bytes; what columns it has, only its rows say."""
        return Shape(schema=None, pieces=byte_pieces(0, storage.size(path), piece_bytes))

    def read(self, storage: Storage, path: str, start: int, stop: int, wanted: Wanted) -> Iterator[Chunk]:
        """Read the objects that begin in bytes ``start`` to ``stop - 1``."""
        where = f"{storage.url}/{path}"
        with open_text(storage, path) as source:
            for records in read_records(source, start, stop, quoted_breaks=False, where=where):
                yield _chunk(records, wanted)


def _chunk(records: Records, wanted: Wanted) -> Chunk:
    malformed: dict[int, InvalidInput] = {}
    rows: list[dict[str, object]] = []
    for number in range(len(records)):
        row = _object(records.text(number))
        if isinstance(row, InvalidInput):
            malformed[number] = row
            row = {}
        rows.append({**row, **wanted.partition} if wanted.partition else row)
    return Chunk(
        values=rows,
        content=lambda row: Content(records.text(row), None if row in malformed else rows[row]),
        position=records.position,
        malformed=malformed,
    )


def _object(text: bytes) -> dict[str, object] | InvalidInput:
    """Parse a record. An error is returned: raised and kept, it would keep this block of text through its traceback."""
    try:
        value = orjson.loads(text)
        if text.count(b"[") + text.count(b"{") > _SHALLOW_BRACKETS:
            orjson.dumps(value)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError) as error:
        return InvalidInput(f"a record must be a JSON object on one line: {error}", cause="malformed")
    if not isinstance(value, dict):
        return InvalidInput(f"a record must be a JSON object; got {text.decode()[:40]!r}", cause="malformed")
    return value
