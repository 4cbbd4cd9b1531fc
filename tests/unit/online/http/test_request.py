"""A request's target and headers."""

from __future__ import annotations

import httptools
import pytest

from online.http.request import Request


@pytest.mark.parametrize(
    "target, path, query",
    [
        (b"/", "/", ""),
        (b"/a?b=c", "/a", "b=c"),
        (b"/a?b?c", "/a", "b?c"),
        (b"/a?", "/a", ""),
        (b"//a/../b", "//a/../b", ""),
        (b"*", "*", ""),
        (b"", "", ""),
        (b"http://example.com", "/", ""),
        (b"http://user:secret@example.com:81/a?b=%20", "/a", "b=%20"),
        (b"https://[::1]/a%20b?c", "/a b", "c"),
        (b"HTTP://EXAMPLE.COM/A", "/A", ""),
        (b"/S%C3%A3o%2FPaulo?S%C3%A3o", "/São/Paulo", "S%C3%A3o"),
        (b"/%ff%2", "/�%2", ""),
        (b"/%00%0d%0a", "/\0\r\n", ""),
        (b"/a%3fb", "/a?b", ""),
        (b"/\xc3\xa4?\xe4", "/ä", "ä"),
    ],
)
def test_target(target: bytes, path: str, query: str) -> None:
    request = Request("GET", target, {})
    assert (request.path, request.query) == (path, query)


@pytest.mark.parametrize("target", [b"example.com:443", b"http://[::1", b"http://", b"a", b"http://x:99999999/"])
def test_target_that_is_no_path(target: bytes) -> None:
    with pytest.raises(httptools.HttpParserInvalidURLError):
        Request("GET", target, {})


def test_header() -> None:
    request = Request("GET", b"/", {b"a": b"x\xe4", b"b": b""})
    assert (request.header(b"a"), request.header(b"b"), request.header(b"c")) == ("xä", "", None)
