"""What a client is told of an error: a status and ``{"error": …}``."""

from __future__ import annotations

import logging

from flask import Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from engine.errors import BadSettings, DeadlineExceeded, ForetableError, InvalidInput, NotFound, Unavailable
from online.body import UnsupportedBody
from online.predict_body import TooManyRows
from online.request_log import printable
from online.responses import JSON, NO_STORE, Headers, to_json

_log = logging.getLogger(__name__)
# The first class that fits decides.
_CODES: dict[type[ForetableError], int] = {
    UnsupportedBody: 415,
    TooManyRows: 413,
    InvalidInput: 400,
    NotFound: 404,
    DeadlineExceeded: 504,
    Unavailable: 503,
}
_HTTP_TEXTS = {
    404: "path must be one that /openapi.json has, such as /v1/models/NAME:predict; got one that does not exist",
    413: "the body must be smaller; got more bytes than --max-body-bytes allows. Send several requests",
}


def failure(error: Exception) -> Response:
    """Turn any error into a response; log the ones that are not the client's."""
    code, message = _told(error)
    headers: Headers = [JSON, NO_STORE]
    if code == 503:
        headers.append(("Retry-After", "1"))
    if isinstance(error, HTTPException):
        headers += [(name, value) for name, value in error.get_headers() if name == "Allow"]
    return Response(to_json({"error": message}), code, headers)


def _told(error: Exception) -> tuple[int, str]:
    """Return the status code, and what the client is told."""
    if isinstance(error, HTTPException):
        code = error.code or 500
        if isinstance(error, MethodNotAllowed):
            return code, f"method must be one of {', '.join(sorted(error.valid_methods or ()))}; got {request.method}"
        return code, _HTTP_TEXTS.get(code) or f"{error.name}: {error.description}"
    for kind, code in _CODES.items():
        if isinstance(error, kind):
            return code, str(error)
    fields = {"request_id": g.exchange.request_id}
    path = printable(request.path)
    _log.error("%s %s (request %s)", request.method, path, *fields.values(), exc_info=error, extra={"fields": fields})
    told = str(error) if isinstance(error, ForetableError) and not isinstance(error, BadSettings) else ""
    return 500, told or "internal error; see the server's log"
