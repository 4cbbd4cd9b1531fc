"""A reply of HTTP, and its headers as lines."""

from __future__ import annotations

from http import HTTPStatus
from typing import NamedTuple

STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


class Reply(NamedTuple):
    """What a client is told.

    Attributes:
        code: of the status.
        headers: lines, each with its end; ``Date`` and ``Connection`` are the connection's.
        body: all of it; its length stands in the headers.
    """

    code: int
    headers: bytes
    body: bytes = b""


def header(name: str, value: str) -> bytes:
    """Return a header as a line.

    Raises:
        ValueError: the value would end the line, and could forge another.
    """
    if "\r" in value or "\n" in value:
        message = f"header {name} must be one line; got {value[:80]!r}"
        raise ValueError(message)
    return f"{name}: {value}\r\n".encode("latin-1")
