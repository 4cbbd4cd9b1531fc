"""What a client is told of an error: a status and ``{"error": …}``."""

from __future__ import annotations

import logging

from engine.errors import BadSettings, DeadlineExceeded, ForetableError, InvalidInput, NotFound, Unavailable
from online.body import TooManyBytes, UnsupportedBody
from online.exchange import Exchange
from online.predict_body import TooManyRows
from online.reply import Reply
from online.request_log import printable
from online.responses import JSON, NO_STORE, to_json

_log = logging.getLogger(__name__)
# The first class that fits decides.
_CODES: dict[type[ForetableError], int] = {
    UnsupportedBody: 415,
    TooManyRows: 413,
    TooManyBytes: 413,
    InvalidInput: 400,
    NotFound: 404,
    DeadlineExceeded: 504,
    Unavailable: 503,
}


def failure(error: Exception, exchange: Exchange) -> Reply:
    """Turn any error into a reply; log the ones that are not the client's."""
    for kind, code in _CODES.items():
        if isinstance(error, kind):
            return told(code, str(error), *([("Retry-After", "1")] if code == 503 else []))
    environ, fields = exchange.environ, {"request_id": exchange.request_id}
    _log.error(
        "%s %s (request %s)",
        environ["REQUEST_METHOD"],
        printable(environ["PATH_INFO"]),
        exchange.request_id,
        exc_info=error,
        extra={"fields": fields},
    )
    text = str(error) if isinstance(error, ForetableError) and not isinstance(error, BadSettings) else ""
    return told(500, text or "internal error; see the server's log")


def told(code: int, text: str, *headers: tuple[str, str]) -> Reply:
    """Return the reply of an error."""
    body = to_json({"error": text})
    return Reply(code, [JSON, ("Content-Length", str(len(body))), NO_STORE, *headers], body)
