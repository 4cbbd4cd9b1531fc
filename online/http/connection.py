"""One connection: its bytes become requests, which are answered in their order."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, cast

import httptools

from online.http.reply import Reply, write_reply
from online.http.request import Request

if TYPE_CHECKING:
    from online.http.listener import Listener

_log = logging.getLogger(__name__)
# What it reads next; its clock begins anew with each. A head is read again where the parser took no body for it. After
# the last request nothing follows; where it is cut, what follows is dropped.
_REQUEST, _HEAD, _BODY, _AGAIN, _LAST, _CUT = range(6)
# Requests that a client sends without waiting for answers; after so many it is told to connect again.
_MOST_WAITING = 64
# Bytes around one byte of a body in chunks, and some. What is more is no framing but trailers.
_FRAMING = 8


class Connection(asyncio.Protocol):
    """Reads requests by llhttp, within the listener's limits, and hands them to the application one at a time.

    A request that is refused before its end, or cannot be read, is the connection's last.
    """

    __slots__ = (
        "_answered",
        "_application",
        "_body",
        "_client",
        "_framed_bytes",
        "_head_bytes",
        "_headers",
        "_limits",
        "_listener",
        "_parser",
        "_refusal",
        "_request",
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
        # Of the request that is being read; itself from the end of its headers on.
        self._target, self._headers, self._head_bytes = b"", dict[bytes, bytes](), 0
        self._request: Request
        # Not a list of parts: those of tiny chunks take many times what they hold.
        self._body = bytearray()
        self._framed_bytes = 0  # all that came in reads since the last request ended
        self._waiting: deque[Request] = deque()  # read, not begun
        self._answered: Request | None = None  # the one that the application has
        self._refusal: Reply | None = None  # what is told after all answers
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
        self._stop(_LAST)
        self._traffic.buffered_bytes -= sum(len(request.body) for request in self._waiting)
        self._waiting.clear()
        self._listener.closed(self)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self._framed_bytes += len(data)
        while self._state < _LAST:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                # Nobody has to follow such a wish: what comes next is what would come without it.
                data = self._head_again() + data[upgrade.args[0] :]
            except httptools.HttpParserCallbackError as error:
                _log.error("reading a request from %s", self._client, exc_info=error)
                self._fault(500, "internal error; see the server's log")
            except httptools.HttpParserError as error:
                self._fault(400, f"the request must be HTTP/1.1: {error}")
            else:
                if self._framed_bytes - _FRAMING * len(self._body) > self._limits.head_bytes:
                    self._too_long_head()
                return

    def eof_received(self) -> bool:
        """Finish what is under way, if anything, where the client only says that it sends no more."""
        self._stop(_LAST)
        under_way = self._answered is not None or bool(self._waiting)
        return under_way and self._transport.get_extra_info("ssl_object") is None

    def pause_writing(self) -> None:
        """Begin nothing more until the client has read what it was told."""
        self._writable = False

    def resume_writing(self) -> None:
        """Go on."""
        self._writable = True
        if self._waiting and self._answered is None:
            self._go_on()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Make room for a request."""
        self._target, self._headers, self._head_bytes = b"", {}, 0
        if self._state == _REQUEST:
            self._state, self._since = _HEAD, self._listener.now

    def on_url(self, part: bytes) -> None:
        """Take a part of the request's target."""
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer is dropped."""
        if self._state != _HEAD:
            return
        name = name.lower()
        if name in self._headers:
            value = self._headers[name] + b", " + value
            if name == b"host":
                self._fault(400, "Host must be given once")
            elif self._head_bytes > self._limits.head_bytes:
                self._too_long_head()
        # A value that grows counts whole each time, for so it is copied.
        self._head_bytes += len(name) + len(value) + 4
        self._headers[name] = value

    def on_headers_complete(self) -> None:
        """Judge the head of a request, before its body comes."""
        if self._state != _HEAD:
            return
        headers = self._headers
        if self._head_bytes + len(self._target) > self._limits.head_bytes:
            self._too_long_head()
        elif b"host" not in headers and self._parser.get_http_version() != "1.0":
            self._fault(400, "Host must be given")
        else:
            method = self._parser.get_method().decode()
            try:
                self._request = Request(method, self._target, headers, client=self._client)
            except httptools.HttpParserInvalidURLError:
                self._fault(400, "the request's target must be a path")
            else:
                if b"content-length" in headers or b"transfer-encoding" in headers:
                    self._expect_body()

    def on_body(self, part: bytes) -> None:
        """Take a part of a body."""
        if self._state != _BODY:
            return
        self._body += part
        self._since = self._listener.now
        self._traffic.buffered_bytes += len(part)
        if len(self._body) > self._limits.body_bytes:
            self._too_many_bytes()
        elif self._traffic.buffered_bytes > self._limits.buffered_bytes:
            self._fault(503, "all memory for bodies is taken. Try again")

    def on_message_complete(self) -> None:
        """Hand the request on, or let it wait for those before it."""
        if self._state > _BODY:
            return
        request = self._request
        if self._body:
            request.body = bytes(self._body)
            self._body = bytearray()
            del self._request  # an idle connection holds no body
        self._state, self._framed_bytes = _REQUEST, 0
        if not self._parser.should_keep_alive():
            self._stop(_LAST)
        if self._answered is None and self._writable:
            self._begin(request)
            return
        self._waiting.append(request)
        self._transport.pause_reading()
        if len(self._waiting) == _MOST_WAITING:
            self._stop(_CUT)

    # What the listener calls.

    @property
    def idle_since(self) -> float | None:
        """Since when it has been without a request, in the listener's seconds; None where it has one."""
        return self._since if self._is_at_rest() and not self._transport.get_write_buffer_size() else None

    def check(self, now: float) -> None:
        """Close what takes too long, or never comes."""
        limits, age = self._limits, now - self._since
        unread_bytes = self._transport.get_write_buffer_size()
        if unread_bytes:
            if unread_bytes != self._unread_bytes:
                self._unread_bytes, self._since = unread_bytes, now
            elif age > limits.unread_s:
                self._transport.abort()
        elif self._answered is not None:
            return
        elif self._state == _REQUEST:
            if age > limits.idle_s:
                self.drain()
        elif self._state == _HEAD:
            if age > limits.head_s:
                self._fault(408, f"the request's headers must come within {limits.head_s:g} s")
        elif self._state == _BODY:
            if age > limits.stall_s:
                self._fault(408, f"the body must go on within {limits.stall_s:g} s")
        elif age > limits.linger_s:
            self._transport.abort()

    def drain(self) -> None:
        """Close after the requests that are here."""
        if self._is_at_rest():
            self._stop(_LAST)
            self._finish()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    # Its own.

    def _is_at_rest(self) -> bool:
        return self._state == _REQUEST and self._answered is None and not self._waiting

    def _expect_body(self) -> None:
        headers, limits = self._headers, self._limits
        coding = headers.get(b"transfer-encoding")
        if int(headers.get(b"content-length", b"0")) > limits.body_bytes:
            self._too_many_bytes()
            return
        if coding is not None and (coding.lower() != b"chunked" or self._parser.get_http_version() != "1.1"):
            # Another server may see another end of such a body, and in it another request.
            self._fault(501, "Transfer-Encoding must be chunked, and of HTTP/1.1")
            return
        if self._parser.should_upgrade():
            if b"upgrade" in headers:
                self._state = _AGAIN
            else:
                self._fault(400, "CONNECT must have no body")
            return
        refusal = self._application.refuse(self._request)
        if refusal is not None:
            self._refuse(refusal)
            return
        self._state, self._since = _BODY, self._listener.now
        if b"expect" in headers:
            self._encourage()

    def _encourage(self) -> None:
        """Tell a client to go on that waits for it, and for nothing else: it would take this for an earlier answer."""
        if (
            self._headers[b"expect"].lower() == b"100-continue"
            and self._parser.get_http_version() == "1.1"
            and self._answered is None
            and not self._waiting
        ):
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _head_again(self) -> bytes:
        """Return the head of a request whose body the parser did not take, without the wish that made it so."""
        if self._state != _AGAIN:
            return b""
        self._state = _REQUEST
        method, version = self._parser.get_method(), self._parser.get_http_version().encode()
        lines = [b"%b: %b" % header for header in self._headers.items() if header[0] != b"upgrade"]
        return b"\r\n".join([b"%b %b HTTP/%b" % (method, self._target, version), *lines, b"", b""])

    def _begin(self, request: Request) -> None:
        self._answered = request
        self._application.answer(request, self._send)

    def _send(self, reply: Reply) -> None:
        """Write the reply to the request that the application has; begin the next."""
        request = self._answered
        assert request is not None
        self._answered = None
        self._traffic.buffered_bytes -= len(request.body)
        if self._transport.is_closing():
            return
        if self._listener.draining and self._state < _LAST:
            self._stop(_LAST if self._state == _REQUEST else _CUT)
        self._since = self._listener.now
        ends = self._state >= _LAST and not self._waiting and self._refusal is None
        write_reply(self._transport, request, reply, date=self._listener.date, keep=not ends)
        if self._waiting or self._state >= _LAST:
            self._go_on()

    def _go_on(self) -> None:
        """Begin the next request that waits; its answer begins the one after it. End where none comes any more."""
        if not self._waiting:
            self._finish()
        elif self._writable:
            self._begin(self._waiting.popleft())
        if not (self._waiting or self._transport.is_closing()):
            self._transport.resume_reading()

    def _too_long_head(self) -> None:
        self._fault(431, f"request line and headers must have {self._limits.head_bytes} bytes or fewer")

    def _too_many_bytes(self) -> None:
        text = f"the body must have {self._limits.body_bytes} bytes or fewer, as --max-body-bytes says; got more"
        self._fault(413, f"{text}. Send several requests")

    def _fault(self, code: int, text: str) -> None:
        if self._state >= _LAST:
            return
        method = self._parser.get_method().decode() if self._target else ""
        try:
            request = Request(method, self._target, self._headers, client=self._client)
        except httptools.HttpParserInvalidURLError:
            request = Request(method, b"", {}, client=self._client)
        self._refuse(self._application.fault(request, code, text))

    def _refuse(self, reply: Reply) -> None:
        """Answer what is being read, once those before it are answered, and read nothing more."""
        of_head = self._target and self._parser.get_method() == b"HEAD"
        self._refusal = reply._replace(body=b"") if of_head else reply
        self._stop(_CUT)
        if self._answered is None and not self._waiting:
            self._finish()

    def _stop(self, state: int) -> None:
        """Read nothing more."""
        self._state, self._since = state, self._listener.now
        self._traffic.buffered_bytes -= len(self._body)
        self._body.clear()

    def _finish(self) -> None:
        """Close, where all is answered.

        With bytes unread that would reset the connection, and with it the replies: the client of a connection that is
        cut has time to read them, and closes.
        """
        if self._refusal is not None:
            nobodys = Request("", b"", {})
            write_reply(self._transport, nobodys, self._refusal, date=self._listener.date, keep=False)
        if self._state == _LAST:
            self._transport.close()
        elif self._transport.can_write_eof():
            self._transport.write_eof()
