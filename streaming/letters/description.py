"""One letter, whole."""

from __future__ import annotations

import base64

import orjson

from engine.errors import InvalidInput
from engine.wire.arrow_stream import parse_arrow
from streaming.letters.letter import Letter
from streaming.letters.listing import letter_json, origin_text, printable, time_text

_ARROW = b"\xff\xff\xff\xff"
_MOST_ROWS, _SHOWN_ROWS = 1 << 30, 20
_SHOWN_BYTES = 4096


def describe(letter: Letter) -> str:
    """Return all that a letter is: what it says of itself, key, the request's headers, value."""
    record = letter.record
    facts = {
        "letter": f"{letter.place} of {record.partition.topic}",
        "time": time_text(record.timestamp_ms),
        "disposition": printable(letter.disposition),
        "cause": printable(letter.cause),
        "feature": printable(letter.feature),
        "message": printable(letter.message),
        "attempts": str(letter.attempts),
        "origin": origin_text(letter),
        "asked": time_text(letter.origin_ms),
        "replay": letter.obstacle and f"cannot be sent again: {letter.obstacle}",
        "digest": printable(letter.digest),
        "redacted": printable(letter.redacted),
        "key": None if record.key is None else _bytes_text(record.key),
    }
    lines = [f"{name:<12}{text}" for name, text in facts.items() if text]
    lines.append("headers" if record.headers else "headers     none")
    lines += [f"  {printable(n)}: {'null' if v is None else _bytes_text(v)}" for n, v in record.headers]
    return "\n".join([*lines, *_value_lines(record.value)])


def description_json(letter: Letter) -> dict[str, object]:
    """Return the same for JSON. Bytes are texts where they are UTF-8, and else ``{"base64": …}``."""
    record = letter.record
    headers = [[name, None if value is None else _bytes_json(value)] for name, value in record.headers]
    key, value = (None if part is None else _bytes_json(part) for part in (record.key, record.value))
    return {**letter_json(letter), "key": key, "headers": headers, "value": value}


def _value_lines(value: bytes | None) -> list[str]:
    if value is None:
        return ["value       none"]
    size = f"{len(value):,} bytes"
    if value.startswith(_ARROW):
        return _arrow_lines(value, size)
    try:
        shown = orjson.dumps(orjson.loads(value), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError as error:
        cut = " (the first of them)" if len(value) > _SHOWN_BYTES else ""
        return [f"value       {size}{cut}, not JSON: {printable(str(error))}", _bytes_text(value[:_SHOWN_BYTES])]
    return [f"value       JSON, {size}", "\n".join(map(printable, shown.split("\n")))]


def _arrow_lines(value: bytes, size: str) -> list[str]:
    try:
        table = parse_arrow(value, max_rows=_MOST_ROWS)
    except InvalidInput as error:
        return [f"value       {size}, begins as an Arrow stream: {printable(str(error))}"]
    lines = [f"value       an Arrow stream, {size}, {table.num_rows:,} rows of"]
    lines += [f"  {printable(field.name)}: {printable(str(field.type))}" for field in table.schema]
    lines += [printable(str(row)) for row in table.slice(0, _SHOWN_ROWS).to_pylist()]
    left = table.num_rows - _SHOWN_ROWS
    return [*lines, f"and {left:,} more"] if left > 0 else lines


def _bytes_text(value: bytes) -> str:
    try:
        return printable(value.decode())
    except UnicodeDecodeError:
        return repr(value)


def _bytes_json(value: bytes) -> object:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
