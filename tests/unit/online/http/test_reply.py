"""A reply's head, and what is written of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from online.http.reply import STATUS_LINES, Reply, header, write_reply
from online.http.request import Request


def test_header_is_one_line() -> None:
    assert header("Allow", "GET, é") == b"Allow: GET, \xe9\r\n"


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\r", "\n"])
def test_header_forges_no_other(value: str) -> None:
    with pytest.raises(ValueError, match="header Allow must be one line; got "):
        header("Allow", value)


def test_every_status_has_its_line() -> None:
    assert STATUS_LINES[431] == b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    assert STATUS_LINES[200] == b"HTTP/1.1 200 OK\r\n"


class Written(asyncio.Transport):
    """Keeps what was written, a piece at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.pieces.append(bytes(data))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.pieces += map(bytes, list_of_data)


@pytest.mark.parametrize(
    "method, code, body, headers, keep, wanted",
    [
        ("GET", 200, b"{}", {}, True, [b"A: b\r\n\r\n{}"]),
        ("GET", 200, b"{}", {}, False, [b"A: b\r\nConnection: close\r\n\r\n{}"]),
        ("GET", 200, b"{}", {b"connection": b"keep-alive"}, True, [b"A: b\r\nConnection: keep-alive\r\n\r\n{}"]),
        ("GET", 200, b"{}", {b"connection": b"close"}, False, [b"A: b\r\nConnection: close\r\n\r\n{}"]),
        ("HEAD", 200, b"{}", {}, True, [b"A: b\r\n\r\n"]),
        ("GET", 304, b"{}", {}, True, [b"A: b\r\n\r\n"]),
        ("GET", 200, bytes(70_000), {}, True, [b"A: b\r\n\r\n", bytes(70_000)]),
    ],
)
def test_what_is_written(
    method: str, code: int, body: bytes, headers: dict[bytes, bytes], keep: bool, wanted: list[bytes]
) -> None:
    transport = Written()
    reply = Reply(code, b"A: b\r\n", body)
    write_reply(transport, Request(method, b"/", headers), reply, date=b"Date: now\r\n", keep=keep)
    first, *rest = transport.pieces
    assert [first.removeprefix(STATUS_LINES[code] + b"Date: now\r\n"), *rest] == wanted
