"""One request under way: its clock, its identifier, its limits of time, and what it will be counted as."""

from __future__ import annotations

import secrets
from itertools import count
from time import perf_counter, time

from engine.answer import Source
from engine.errors import InvalidInput
from online.http.request import Request

# What may become the value of a metric's label: anybody can send a method of his own.
_METHODS = {"GET", "HEAD", "POST"}
_LONGEST_ID = 200
# Of Unix time in milliseconds: until the year 33658. Python would refuse to read thousands of them.
_MOST_DIGITS = 15
_prefix, _numbers = secrets.token_hex(6), count(1)


def request_id(request: Request) -> str:
    """Return the client's ``X-Request-Id``, or one made here."""
    given = request.headers.get(b"x-request-id")
    if given and len(given) <= _LONGEST_ID:
        return given.decode("latin-1")
    return f"{_prefix}{next(_numbers):010x}"


def exchange_headers(identifier: str, seconds: float) -> bytes:
    """Return the headers that every answer carries; ``seconds`` is what answering took."""
    return f"X-Request-Id: {identifier}\r\nServer-Timing: app;dur={seconds * 1e3:.3f}\r\n".encode("latin-1")


class Exchange:
    """A request, from its headers on.

    Attributes:
        request: what is asked.
        started: ``time.perf_counter`` when it was read.
        request_id: in the answer and in the log.
        model: whose it is counted as; "" until it names one that is served.
        source: of its answers; "" until there are some.
        compute_s: what the predictor took; None where it was not asked.
        rows: of its body, by source.
        timeout_s: how long after ``started`` the answer is of use, where the body says so; None for ever.
    """

    __slots__ = ("compute_s", "model", "request", "request_id", "rows", "source", "started", "timeout_s")

    def __init__(self, request: Request) -> None:
        """Start the clock."""
        self.started = perf_counter()
        self.request = request
        self.request_id = request_id(request)
        self.model = self.source = ""
        self.compute_s: float | None = None
        self.rows: dict[Source, int] = {}
        self.timeout_s: float | None = None

    @property
    def method(self) -> str:
        """The method as it is counted."""
        method = self.request.method
        return method if method in _METHODS else "other"

    @property
    def content_type(self) -> str:
        """The media type of the body, without parameters, in lower case."""
        text = self.request.header(b"content-type") or ""
        return text.partition(";")[0].strip().lower()

    @property
    def deadline(self) -> float | None:
        """Until when the answer is of use, by the header or the body: ``time.time`` seconds, or None for ever.

        The header carries Unix time in milliseconds: an instant holds over every hop, in which a span would begin anew.

        Raises:
            InvalidInput: the header is no such number.
        """
        by_body = None if self.timeout_s is None else time() - (perf_counter() - self.started) + self.timeout_s
        text = self.request.header(b"foretable-deadline")
        if text is None:
            return by_body
        if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
            message = (
                f"Foretable-Deadline must be Unix time in milliseconds, now {time() * 1000:.0f}; got {text[:40]!r}"
            )
            raise InvalidInput(message, cause="bad_deadline")
        by_header = int(text) / 1000
        return by_header if by_body is None else min(by_header, by_body)
