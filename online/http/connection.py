"""One connection: its bytes become requests, which are answered in their order."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, cast

import httptools

from online.http.reply import STATUS_LINES, Reply
from online.http.request import Request

if TYPE_CHECKING:
    from online.http.listener import Listener

_log = logging.getLogger(__name__)
# What it reads next; its clock begins anew with each. After _END nothing is read.
_REQUEST, _HEAD, _BODY, _END = range(4)
# Requests that a client has sent without waiting for answers; one that sends more is told to connect again.
_MOST_WAITING = 64
# Bytes around one byte of a body in chunks, and some. What is more is no framing but trailers.
_FRAMING = 8
_CLOSE, _KEEP = b"Connection: close\r\n", b"Connection: keep-alive\r\n"
_BODILESS = {204, 304}
# Above this it is cheaper to write twice than to copy the body.
_COPIED_BYTES = 64 << 10


class Connection(asyncio.Protocol):
    """Reads requests by llhttp, within the listener's limits, and hands them to the application one at a time.

    A request that is refused before its end, or cannot be read, is the connection's last.
    """

    __slots__ = (
        "_answered",
        "_application",
        "_body_bytes",
        "_client",
        "_ended",
        "_framed_bytes",
        "_head_bytes",
        "_headers",
        "_keep",
        "_limits",
        "_listener",
        "_parser",
        "_parts",
        "_paused",
        "_since",
        "_state",
        "_target",
        "_traffic",
        "_transport",
        "_unread_bytes",
        "_waiting",
        "_writable",
    )

    def __init__(self, listener: Listener) -> None:
        """Belong to a listener."""
        self._listener, self._application = listener, listener.application
        self._limits, self._traffic = listener.limits, listener.traffic
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._client = ""
        self._state, self._since = _REQUEST, listener.now
        self._target, self._headers, self._head_bytes = b"", dict[bytes, bytes](), 0
        self._parts: list[bytes] = []
        self._body_bytes = 0  # of the request that is being read
        self._framed_bytes = 0  # all that came since the read in which it began
        self._waiting: deque[tuple[Request, bool]] = deque()  # read, not begun; and whether the connection stays after
        self._answered: Request | None = None  # the one that the application has
        self._keep = True  # whether the connection stays after it
        self._ended = False  # the client sends nothing more
        self._paused = False  # reading
        self._writable = True
        self._unread_bytes = 0

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._client = str(peer[0]) if peer else ""
        self._listener.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the base's signature
        """End; what the application still answers goes nowhere."""
        self._state = _END
        self._give_up_body()
        for request, _ in self._waiting:
            self._traffic.buffered_bytes -= len(request.body)
        self._waiting.clear()
        self._listener.closed(self)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._state == _END:
            return
        self._framed_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._last()  # it was answered as what it is without the upgrade; what follows may be anything
        except httptools.HttpParserCallbackError as error:
            _log.error("reading a request from %s", self._client, exc_info=error)
            self._fault(500, "internal error; see the server's log")
        except httptools.HttpParserError as error:
            self._fault(400, f"the request must be HTTP/1.1: {error}")
        else:
            if self._framed_bytes - _FRAMING * self._body_bytes > self._limits.head_bytes:
                self._too_long_head()

    def eof_received(self) -> bool:
        """Finish what is under way, if anything, where the client only says that it sends no more."""
        self._ended = True
        return self._answered is not None and self._transport.get_extra_info("ssl_object") is None

    def pause_writing(self) -> None:
        """Begin nothing more until the client has read what it was told."""
        self._writable = False
        self._unread_bytes = self._transport.get_write_buffer_size()
        self._since = self._listener.now

    def resume_writing(self) -> None:
        """Go on."""
        self._writable = True
        self._answer_waiting()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Make room for a request."""
        self._target, self._headers, self._head_bytes = b"", {}, 0
        self._framed_bytes = 0
        if self._state == _REQUEST:
            self._state, self._since = _HEAD, self._listener.now

    def on_url(self, part: bytes) -> None:
        """Take a part of the request's target."""
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer is dropped."""
        if self._state != _HEAD:
            return
        self._head_bytes += len(name) + len(value) + 4
        name = name.lower()
        if name in self._headers:
            value = self._headers[name] + b", " + value
            if name == b"host":
                self._fault(400, "Host must be given once")
        self._headers[name] = value

    def on_headers_complete(self) -> None:
        """Judge the head of a request, before its body comes."""
        if self._state == _END:
            return
        headers = self._headers
        if self._head_bytes + len(self._target) > self._limits.head_bytes:
            self._too_long_head()
        elif b"host" not in headers and self._parser.get_http_version() != "1.0":
            self._fault(400, "Host must be given")
        elif b"content-length" in headers or b"transfer-encoding" in headers:
            self._expect_body(int(headers.get(b"content-length", b"0")))

    def on_body(self, part: bytes) -> None:
        """Take a part of a body."""
        if self._state == _END:
            return
        self._parts.append(part)
        self._body_bytes += len(part)
        self._since = self._listener.now
        self._traffic.buffered_bytes += len(part)
        if self._body_bytes > self._limits.body_bytes:
            self._too_many_bytes()
        elif self._traffic.buffered_bytes > self._limits.buffered_bytes:
            self._fault(503, "all memory for bodies is taken. Try again")

    def on_message_complete(self) -> None:
        """Hand the request on, or let it wait for those before it."""
        if self._state == _END:
            return
        try:
            request = self._request()
        except httptools.HttpParserInvalidURLError:
            self._fault(400, "the request's target must be a path")
            return
        self._state, self._framed_bytes = _REQUEST, 0
        self._parts, self._body_bytes = [], 0  # from here on it is the request's
        keep = self._parser.should_keep_alive()
        if self._answered is None and self._writable and not self._waiting:
            self._begin(request, keep)
            return
        if len(self._waiting) == _MOST_WAITING:
            self._traffic.buffered_bytes -= len(request.body)
            self._last()
            return
        self._waiting.append((request, keep))
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    # What the listener calls.

    @property
    def idle_since(self) -> float | None:
        """Since when it has been without a request, in the listener's seconds; None where it has one."""
        return self._since if self._state == _REQUEST and self._answered is None else None

    def check(self, now: float) -> None:
        """Close what takes too long, or never comes."""
        limits, age = self._limits, now - self._since
        if not self._writable:
            unread = self._transport.get_write_buffer_size()
            if unread < self._unread_bytes:
                self._unread_bytes, self._since = unread, now
            elif age > limits.unread_s:
                self._transport.abort()
        elif self._answered is not None:
            return
        elif self._state == _REQUEST and age > limits.idle_s:
            self._transport.close()
        elif self._state == _HEAD and age > limits.head_s:
            self._fault(408, f"the request's headers must come within {limits.head_s:g} s")
        elif self._state == _BODY and age > limits.stall_s:
            self._fault(408, f"the body must go on within {limits.stall_s:g} s")
        elif self._state == _END and age > self._patience_s():
            self._transport.abort()

    def drain(self) -> None:
        """Close after the requests that are here."""
        if self.idle_since is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    # Its own.

    def _request(self) -> Request:
        parts = self._parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        method = self._parser.get_method().decode()
        return Request(method, self._target, self._headers, body=body, client=self._client)

    def _expect_body(self, length: int) -> None:
        if length > self._limits.body_bytes:
            self._too_many_bytes()
            return
        try:
            refusal = self._application.refuse(self._request())
        except httptools.HttpParserInvalidURLError:
            return  # told at the request's end
        if refusal is not None:
            self._refuse(refusal)
            return
        self._state, self._since = _BODY, self._listener.now
        # Only where the client waits for nothing else, for which it would take this.
        if self._answered is None and self._headers.get(b"expect", b"").lower() == b"100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _begin(self, request: Request, keep: bool) -> None:
        self._answered, self._keep = request, keep
        self._application.answer(request, self._send)

    def _send(self, reply: Reply) -> None:
        """Write the reply to the request that the application has; begin the next."""
        request = self._answered
        assert request is not None
        self._answered = None
        self._traffic.buffered_bytes -= len(request.body)
        if self._transport.is_closing():
            return
        last = (self._ended or self._listener.draining) and not self._waiting
        self._since = self._listener.now
        self._write(request, reply, keep=self._keep and not last)
        if last or not self._keep:
            self._state = _END
            self._transport.close()
        elif self._waiting:
            self._answer_waiting()

    def _answer_waiting(self) -> None:
        """Begin the next request that waits; its answer begins the one after it."""
        if self._waiting and self._writable and self._answered is None and not self._transport.is_closing():
            self._begin(*self._waiting.popleft())
        if self._paused and not self._waiting and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def _write(self, request: Request, reply: Reply, *, keep: bool) -> None:
        connection = b"" if keep else _CLOSE
        if keep and b"connection" in request.headers:
            connection = _KEEP  # HTTP/1.0 needs to hear it
        head = b"".join((STATUS_LINES[reply.code], self._listener.date, reply.headers, connection, b"\r\n"))
        if not reply.body or request.method == "HEAD" or reply.code in _BODILESS:
            self._transport.write(head)
        elif len(reply.body) <= _COPIED_BYTES:
            self._transport.write(head + reply.body)
        else:
            self._transport.writelines((head, reply.body))

    def _too_long_head(self) -> None:
        self._fault(431, f"request line and headers must have {self._limits.head_bytes} bytes or fewer")

    def _too_many_bytes(self) -> None:
        text = f"the body must have {self._limits.body_bytes} bytes or fewer, as --max-body-bytes says; got more"
        self._fault(413, f"{text}. Send several requests")

    def _fault(self, code: int, text: str) -> None:
        try:
            request = Request(self._method(), self._target, self._headers, client=self._client)
        except httptools.HttpParserInvalidURLError:
            request = Request("", b"", {}, client=self._client)
        self._refuse(self._application.fault(request, code, text))

    def _method(self) -> str:
        """Return the method of the request that is being read, as far as one was."""
        return self._parser.get_method().decode() if self._target else ""

    def _refuse(self, reply: Reply) -> None:
        """Answer what is being read, once those before it are answered, and read nothing more."""
        if self._state == _END:
            return
        self._state, self._since = _END, self._listener.now
        self._give_up_body()
        if self._answered is not None or self._waiting:
            # Their answers come first, and then the end: a client sends again what was not answered.
            self._last()
            return
        self._write(Request("", b"", {}), reply, keep=False)
        # A close with bytes unread would reset the connection, and with it the reply: let the client read, and close.
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def _last(self) -> None:
        """Close after the answers to what has been read."""
        self._state = _END
        if self._waiting:
            request, _ = self._waiting.pop()
            self._waiting.append((request, False))
        elif self._answered is not None:
            self._keep = False
        else:
            self._transport.close()

    def _patience_s(self) -> float:
        """Return how long a client has that is told nothing more."""
        return self._limits.unread_s if self._transport.get_write_buffer_size() else self._limits.linger_s

    def _give_up_body(self) -> None:
        self._traffic.buffered_bytes -= self._body_bytes
        self._parts, self._body_bytes = [], 0
