"""A reply of HTTP, its headers as lines, and how it is written."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import NamedTuple

from online.http.request import Request

STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_CLOSE, _KEEP = b"Connection: close\r\n", b"Connection: keep-alive\r\n"
_BODILESS = {204, 304}
# Above this it is cheaper to write twice than to copy the body.
_COPIED_BYTES = 64 << 10


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


def write_reply(transport: asyncio.Transport, request: Request, reply: Reply, *, date: bytes, keep: bool) -> None:
    """Write the reply to a request: the headers, and the body where this reply to this request has one.

    Args:
        transport: the connection's.
        request: what is answered.
        reply: the answer.
        date: the header ``Date``, as a line.
        keep: whether the connection goes on after it.
    """
    connection = b"" if keep else _CLOSE
    if keep and b"connection" in request.headers:
        connection = _KEEP  # HTTP/1.0 needs to hear it
    head = b"".join((STATUS_LINES[reply.code], date, reply.headers, connection, b"\r\n"))
    if not reply.body or request.method == "HEAD" or reply.code in _BODILESS:
        transport.write(head)
    elif len(reply.body) <= _COPIED_BYTES:
        transport.write(head + reply.body)
    else:
        transport.writelines((head, reply.body))
