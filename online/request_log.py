"""The log of requests."""

from __future__ import annotations

import logging
import re

from online.http.request import Request
from online.metrics import Key

_log = logging.getLogger("online.requests")
# W3C Trace Context: version, trace id, parent id, flags.
_LONGEST_METHOD, _LONGEST_PATH = 20, 1000
_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")


def printable(text: str) -> str:
    """Return a text from outside as one line: what is not printable (line ends, terminal codes) as its escape."""
    return text if text.isprintable() else repr(text)[1:-1]


class RequestLog:
    """Logs every request, those that end with 400 or more, or none.

    Attributes:
        least_code: the lowest status code that is logged.
    """

    def __init__(self, choice: str) -> None:
        """Choose which: ``none``, ``errors`` or ``all``."""
        self.least_code = {"none": 1000, "errors": 400, "all": 0}[choice]

    def write(self, request: Request, key: Key, identifier: str, seconds: float) -> None:
        """Log one request of ``least_code`` or more: what was asked, what came of it, ids that join it to others.

        The query is left out: it holds a row's values.
        """
        model, _, source, code = key
        method, path = request.method[:_LONGEST_METHOD], printable(request.path[:_LONGEST_PATH])
        fields = {
            "request_id": identifier,
            "client": request.client,
            "method": method,
            "path": path,
            "code": code,
            "model": model,
            "source": source,
            "seconds": round(seconds, 6),
        }
        if trace := _TRACE.fullmatch(request.header(b"traceparent") or ""):
            fields["trace_id"] = trace[1]
        _log.info("%s %s %d %.3f ms %s", method, path, code, seconds * 1e3, identifier, extra={"fields": fields})
