"""The body of a request, read within its limits."""

from __future__ import annotations

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from engine.errors import InvalidInput


class UnsupportedBody(InvalidInput):
    """The body's type or encoding is not one that is read."""


def read_body(limit_bytes: int) -> bytes:
    """Read the body; Werkzeug's own limit cuts a chunked one instead of refusing it.

    Raises:
        RequestEntityTooLarge: it is longer than the limit, or says so: then none of it is read.
        UnsupportedBody: it is compressed.
        InvalidInput: it ends early.
    """
    if request.headers.get("Content-Encoding", "identity") != "identity":
        message = "Content-Encoding must be identity: bodies are read as they are"
        raise UnsupportedBody(message, cause="bad_body")
    length = request.content_length
    if length is not None and length > limit_bytes:
        raise RequestEntityTooLarge
    wanted = limit_bytes + 1 if length is None else length
    parts = []
    while wanted and (part := request.environ["wsgi.input"].read(wanted)):
        parts.append(part)
        wanted -= len(part)
    if length is None and not wanted:
        raise RequestEntityTooLarge
    if length is not None and wanted:
        message = f"the body must have the {length} bytes that Content-Length says; got {length - wanted}"
        raise InvalidInput(message, cause="bad_body")
    return b"".join(parts)
