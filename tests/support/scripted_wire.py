"""A connection of the HTTP server without a socket: a scripted transport, and an application that records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from online.http.connection import Connection
from online.http.limits import Limits
from online.http.listener import Listener
from online.http.reply import Reply
from online.http.request import Request
from online.http.traffic import Traffic

Sent = bytes | bytearray | memoryview


class WireTransport(asyncio.Transport):
    """What a connection writes to. It behaves as uvloop's does: a close waits until all is taken.

    Attributes:
        sent: all that was written.
        unread: how much of it the client has not taken.
        reading: whether the connection wants more.
        ended: whether it has said that it sends no more.
        closing: whether it was closed.
        aborted: whether at once.
        lost: whether it is gone.
    """

    def __init__(self, *, tls: bool = False) -> None:
        """Begin open."""
        super().__init__({"peername": ("192.0.2.7", 4711), "ssl_object": object() if tls else None})
        self.sent, self.unread = bytearray(), 0
        self.reading, self.ended, self.closing, self.aborted = True, False, False, False
        self.lost, self._tls = False, tls

    def write(self, data: Sent) -> None:
        """Take bytes, which must not come after the end."""
        assert not self.ended
        assert not self.lost, "uvloop raises then"
        if not self.closing:
            self.sent += data

    def writelines(self, list_of_data: Iterable[Sent]) -> None:
        """Take bytes."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """TLS has no half-closed connections."""
        return not self._tls

    def write_eof(self) -> None:
        """End what is sent."""
        assert not self._tls
        self.ended = True

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closing

    def close(self) -> None:
        """Close once all is taken."""
        self.closing = True

    def abort(self) -> None:
        """Close at once."""
        self.closing = self.aborted = True

    def pause_reading(self) -> None:
        """Read nothing more."""
        self.reading = False

    def resume_reading(self) -> None:
        """Go on."""
        self.reading = True

    def get_write_buffer_size(self) -> int:
        """What the client has not taken."""
        return self.unread


class Told(NamedTuple):
    """A reply as a client reads it: headers by lower-case name."""

    code: int
    headers: dict[str, str]
    body: bytes


class Answers(Protocol):
    """What a recorder says to a request."""

    def __call__(self, request: Request, /) -> Reply: ...


def reply(code: int, body: bytes) -> Reply:
    """Return a reply with its length."""
    return Reply(code, b"Content-Length: %d\r\n" % len(body), body)


def echo(request: Request) -> Reply:
    """Say what was asked."""
    return reply(200, b"%b %b %b" % (request.method.encode(), request.path.encode(), request.body))


class Recorder:
    """An application that notes what it is asked, and answers at once or when it is told to.

    Attributes:
        asked: requests, in their order.
        pending: those that are not answered.
        faults: what could not be answered, in its order.
    """

    def __init__(self, *, later: bool = False, answer: Answers = echo, refusal: Reply | None = None) -> None:
        """Answer later or at once; refuse bodies where there is a refusal."""
        self.asked: list[Request] = []
        self.pending: list[Callable[[], None]] = []
        self.faults: list[tuple[int, str]] = []
        self.later, self._answer, self._refusal = later, answer, refusal

    def refuse(self, request: Request) -> Reply | None:
        """Refuse what was configured."""
        return self._refusal

    def answer(self, request: Request, send: Callable[[Reply], None]) -> None:
        """Note the request."""
        self.asked.append(request)
        if self.later:
            self.pending.append(lambda: send(self._answer(request)))
        else:
            send(self._answer(request))

    def fault(self, request: Request, code: int, text: str) -> Reply:
        """Note the fault."""
        self.faults.append((code, request.path))
        return reply(code, text.encode())


class Wire:
    """A connection, with a client's hands on it.

    Attributes:
        application: what answers.
        transport: what is written to.
        listener: whose clock a test moves.
        traffic: of the listener.
        connection: the one that is tested.
    """

    def __init__(self, application: Recorder | None = None, *, tls: bool = False, **limits: Any) -> None:
        """Connect."""
        self.application, self.traffic = application or Recorder(), Traffic()
        sizes = {"body_bytes": 1000, "buffered_bytes": 2500, "head_bytes": 2000}
        self.listener = Listener(self.application, Limits(**{**sizes, **limits}), self.traffic)
        self.listener.date = b"Date: today\r\n"
        self.transport, self.connection = self.another(tls=tls)

    def another(self, *, tls: bool = False) -> tuple[WireTransport, Connection]:
        """Connect once more."""
        transport, connection = WireTransport(tls=tls), Connection(self.listener)
        connection.connection_made(transport)
        return transport, connection

    def send(self, *parts: bytes) -> None:
        """Let the client send; a part is what one read gives. After a close nothing is read."""
        for part in parts:
            if not self.transport.closing:
                self.connection.data_received(part)

    def answer(self, count: int = 1) -> None:
        """Let the application answer the requests that it has had for longest."""
        for _ in range(count):
            self.application.pending.pop(0)()

    def wait(self, seconds: float) -> None:
        """Let time pass, a second at a time, as the listener does."""
        until = self.listener.now + seconds
        while self.listener.now < until:
            self.listener.now = min(self.listener.now + 1, until)
            self.connection.check(self.listener.now)

    def hang_up(self) -> None:
        """Let the connection be gone."""
        self.transport.closing = self.transport.lost = True
        self.connection.connection_lost(None)

    def told(self, *methods: str) -> list[Told]:
        """Read all that was sent, as the answers to requests by these methods; the others were GET."""
        return read_replies(bytes(self.transport.sent), methods)


def read_replies(data: bytes, methods: Sequence[str] = ()) -> list[Told]:
    """Read replies one after the other; what is none fails."""
    found: list[Told] = []
    left = list(methods)
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        version, code, _ = first.split(" ", 2)
        assert (version, end) == ("HTTP/1.1", b"\r\n\r\n"), first
        if code == "100":
            found.append(Told(100, {}, b""))
            continue
        pairs = [line.split(": ", 1) for line in lines]
        headers = {name.lower(): value for name, value in pairs}
        assert len(headers) == len(pairs), "a header came twice"
        method = left.pop(0) if left else "GET"
        length = 0 if method == "HEAD" or code in {"204", "304"} else int(headers["content-length"])
        assert len(data) >= length, "a body was cut"
        found.append(Told(int(code), headers, data[:length]))
        data = data[length:]
    return found
