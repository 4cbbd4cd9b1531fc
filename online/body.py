"""The body of a request, as it may be read."""

from __future__ import annotations

from engine.errors import InvalidInput
from online.exchange import Exchange


class UnsupportedBody(InvalidInput):
    """The body's type or encoding is not one that is read."""


def body_of(exchange: Exchange) -> bytes:
    """Return the body.

    Raises:
        UnsupportedBody: it is compressed.
    """
    if (exchange.request.header(b"content-encoding") or "identity").lower() != "identity":
        message = "Content-Encoding must be identity: bodies are read as they are"
        raise UnsupportedBody(message, cause="bad_body")
    return exchange.request.body
