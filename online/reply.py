"""A reply to a request for predictions, before it is anybody's web framework's."""

from __future__ import annotations

from typing import NamedTuple

from online.responses import Headers


class Reply(NamedTuple):
    """Status code, headers without those that every answer carries, and body."""

    code: int
    headers: Headers
    body: bytes = b""
