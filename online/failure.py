"""What a client is told of an error: a status and ``{"error": …}``."""

from __future__ import annotations

import logging

from engine.errors import (
    BadSettings,
    DeadlineExceeded,
    ForetableError,
    InvalidInput,
    NotFound,
    TooManyRows,
    Unavailable,
)
from engine.wire.output_json import to_json
from online.body import UnsupportedBody
from online.exchange import Exchange
from online.http.reply import Reply, header
from online.request_log import printable
from online.responses import JSON, NO_STORE, content_length

_log = logging.getLogger(__name__)
RETRY_AFTER = header("Retry-After", "1")
# The first class that fits decides.
_CODES: dict[type[ForetableError], int] = {
    UnsupportedBody: 415,
    TooManyRows: 413,
    InvalidInput: 400,
    NotFound: 404,
    DeadlineExceeded: 504,
    Unavailable: 503,
}


def failure(error: Exception, exchange: Exchange) -> Reply:
    """Turn any error into a reply; log the ones that are not the client's."""
    for kind, code in _CODES.items():
        if isinstance(error, kind):
            return told(code, str(error), *([RETRY_AFTER] if code == 503 else []))
    request, fields = exchange.request, {"request_id": exchange.request_id}
    _log.error(
        "%s %s (request %s)",
        request.method,
        printable(request.path),
        exchange.request_id,
        exc_info=error,
        extra={"fields": fields},
    )
    text = str(error) if isinstance(error, ForetableError) and not isinstance(error, BadSettings) else ""
    return told(500, text or "internal error; see the server's log")


def told(code: int, text: str, *headers: bytes) -> Reply:
    """Return the reply of an error."""
    body = to_json({"error": text})
    return Reply(code, b"".join((JSON, content_length(body), NO_STORE, *headers)), body)
