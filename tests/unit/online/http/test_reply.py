"""Lines of a reply's head."""

from __future__ import annotations

import pytest

from online.http.reply import STATUS_LINES, header


def test_header_is_one_line() -> None:
    assert header("Allow", "GET, é") == b"Allow: GET, \xe9\r\n"


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\r", "\n"])
def test_header_forges_no_other(value: str) -> None:
    with pytest.raises(ValueError, match="header Allow must be one line; got "):
        header("Allow", value)


def test_every_status_has_its_line() -> None:
    assert STATUS_LINES[431] == b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    assert STATUS_LINES[200] == b"HTTP/1.1 200 OK\r\n"
