"""The body of a request, read within its limits."""

from __future__ import annotations

from engine.errors import InvalidInput
from online.exchange import Exchange


class UnsupportedBody(InvalidInput):
    """The body's type or encoding is not one that is read."""


class TooManyBytes(InvalidInput):
    """The body is longer than the server reads."""


def read_body(exchange: Exchange, limit_bytes: int) -> bytes:
    """Read the body.

    Raises:
        TooManyBytes: it is longer than the limit, or says so: then none of it is read.
        UnsupportedBody: it is compressed.
        InvalidInput: it ends early.
    """
    environ = exchange.environ
    if (exchange.header("CONTENT_ENCODING") or "identity").lower() != "identity":
        message = "Content-Encoding must be identity: bodies are read as they are"
        raise UnsupportedBody(message, cause="bad_body")
    text = environ.get("CONTENT_LENGTH")  # granian has refused what is no number
    length = int(text) if text else None
    if length is not None and length > limit_bytes:
        raise _too_many_bytes()
    wanted = limit_bytes + 1 if length is None else length
    parts = []
    while wanted and (part := environ["wsgi.input"].read(wanted)):
        parts.append(part)
        wanted -= len(part)
    if length is None and not wanted:
        raise _too_many_bytes()
    if length is not None and wanted:
        message = f"the body must have the {length} bytes that Content-Length says; got {length - wanted}"
        raise InvalidInput(message, cause="bad_body")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_many_bytes() -> TooManyBytes:
    message = "the body must be smaller; got more bytes than --max-body-bytes allows. Send several requests"
    return TooManyBytes(message, cause="bad_body")
