"""One request under way: its clock, its identifier, its limits of time, and what it will be counted as."""

from __future__ import annotations

import secrets
from itertools import count
from time import perf_counter, time
from typing import Any

from engine.errors import InvalidInput

REQUEST_ID, SERVER_TIMING = "X-Request-Id", "Server-Timing"
# Where the WSGI environment carries the exchange from the front to Flask's views.
KEY = "foretable.exchange"
# What may become the value of a metric's label: anybody can send a method of his own.
_METHODS = {"GET", "HEAD", "POST"}
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
    """A request, from its headers on.

    Attributes:
        environ: its WSGI environment.
        started: ``time.perf_counter`` when Python got it.
        request_id: in the answer and in the log.
        model: whose it is counted as; "" until it names one that is served.
        source: of its answers; "" until there are some.
    """

    __slots__ = ("environ", "model", "request_id", "source", "started")

    def __init__(self, environ: dict[str, Any]) -> None:
        """Start the clock."""
        self.started = perf_counter()
        self.environ = environ
        self.request_id = request_id(environ)
        self.model = self.source = ""

    @property
    def method(self) -> str:
        """The method as it is counted."""
        method: str = self.environ["REQUEST_METHOD"]
        return method if method in _METHODS else "other"

    @property
    def content_type(self) -> str:
        """The media type of the body, without parameters, in lower case."""
        text: str = self.environ.get("CONTENT_TYPE", "")
        return text.partition(";")[0].strip().lower()

    def header(self, name: str) -> str | None:
        """Return a header by its name in WSGI, without ``HTTP_``."""
        return self.environ.get(f"HTTP_{name}")

    @property
    def deadline(self) -> float | None:
        """Until when the answer is of use: ``time.time`` seconds, or None for ever.

        The header carries Unix time in milliseconds: an instant holds over every hop, in which a span would begin anew.

        Raises:
            InvalidInput: the header is no such number.
        """
        text = self.header("FORETABLE_DEADLINE")
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
            message = (
                f"Foretable-Deadline must be Unix time in milliseconds, now {time() * 1000:.0f}; got {text[:40]!r}"
            )
            raise InvalidInput(message, cause="bad_deadline")
        return int(text) / 1000
