"""One request under way: its clock, its identifier, and until when an answer is of use."""

from __future__ import annotations

import secrets
from itertools import count
from time import perf_counter, time
from typing import Any

from engine.errors import InvalidInput

REQUEST_ID, SERVER_TIMING = "X-Request-Id", "Server-Timing"
# Where the WSGI environment carries the exchange from the front to the views.
KEY = "foretable.exchange"
# The header Foretable-Deadline, as WSGI calls it.
DEADLINE = "HTTP_FORETABLE_DEADLINE"
_LONGEST_ID = 200
# Of Unix time in milliseconds: until the year 33658. Python would refuse to read thousands of them.
_MOST_DIGITS = 15


_prefix, _numbers = secrets.token_hex(6), count(1)


def request_id(environ: dict[str, Any]) -> str:
    """Return the client's ``X-Request-Id``, or one made here."""
    given: str | None = environ.get("HTTP_X_REQUEST_ID")
    return given if given and len(given) <= _LONGEST_ID else f"{_prefix}{next(_numbers):010x}"


def exchange_headers(identifier: str, seconds: float) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return the headers that every answer carries; ``seconds`` is what answering took."""
    return (REQUEST_ID, identifier), (SERVER_TIMING, f"app;dur={seconds * 1e3:.3f}")


class Exchange:
    """What is known of a request before anything of it is understood.

    Attributes:
        started: ``time.perf_counter`` when Python got it.
        request_id: in the answer and in the log.
    """

    __slots__ = ("_environ", "request_id", "started")

    def __init__(self, environ: dict[str, Any]) -> None:
        """Start the clock."""
        self.started = perf_counter()
        self._environ = environ
        self.request_id = request_id(environ)

    @property
    def deadline(self) -> float | None:
        """Until when the answer is of use: ``time.time`` seconds, or None for ever.

        The header carries Unix time in milliseconds: an instant holds over every hop, in which a span would begin anew.

        Raises:
            InvalidInput: the header is no such number.
        """
        text = self._environ.get(DEADLINE)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
            message = (
                f"Foretable-Deadline must be Unix time in milliseconds, now {time() * 1000:.0f}; got {text[:40]!r}"
            )
            raise InvalidInput(message, cause="bad_deadline")
        return int(text) / 1000
