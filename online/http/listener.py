"""A listening socket, its connections, and the clock that they share."""

from __future__ import annotations

import asyncio
import heapq
import socket
import ssl
import time
from contextlib import suppress
from email.utils import formatdate
from typing import Any

from online.http.application import Application
from online.http.connection import Connection
from online.http.limits import Limits
from online.http.traffic import Traffic

_TICK_S = 1.0
# Of connections: what is closed at once where there are too many, so that making room costs each newcomer little.
_ROOM = 0.01
_BACKLOG = 2048


class Listener:
    """Accepts connections for an application.

    Attributes:
        application: answers what they ask.
        limits: of each connection and all together.
        now: a clock in seconds that moves once a second.
        date: the ``Date`` header's line.
        traffic: what there is to do.
        draining: whether connections end with the answer to what they have asked.
    """

    def __init__(self, application: Application, limits: Limits, traffic: Traffic) -> None:
        """Prepare; ``open`` begins."""
        self.application, self.limits, self.traffic = application, limits, traffic
        self.now, self.date, self.draining = 0.0, b"", False
        self._connections = dict[Connection, None]()  # in the order in which they came
        self._tick_due = 0.0
        self._empty: asyncio.Event | None = None

    async def open(self, bound: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Listen on a socket that is bound.

        Raises:
            OSError: another socket listens there.
        """
        loop = asyncio.get_running_loop()
        bound.listen(_BACKLOG)  # uvloop would close it and say nothing where that fails
        self._tick_due = loop.time()
        self._tick()
        # A handshake is the head of a connection. It has no clock of ours yet, and counts as none.
        handshake: dict[str, Any] = {"ssl": tls, "ssl_handshake_timeout": self.limits.head_s} if tls else {}
        self._server = await loop.create_server(lambda: Connection(self), sock=bound, backlog=_BACKLOG, **handshake)

    async def drain(self, within_s: float) -> int:
        """Accept nothing more, finish what is under way; return how many connections had to be cut."""
        self.draining = True
        self._server.close()
        self._empty = asyncio.Event()
        for connection in list(self._connections):
            connection.drain()
        if self._connections:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), within_s)
        cut = list(self._connections)
        for connection in cut:
            connection.abort()
        self._timer.cancel()
        return len(cut)

    def opened(self, connection: Connection) -> None:
        """Count a connection in; make room where there are too many."""
        self._connections[connection] = None
        if len(self._connections) > self.limits.connections:
            self._make_room()
        self.traffic.connections = len(self._connections)

    def closed(self, connection: Connection) -> None:
        """Count a connection out."""
        self._connections.pop(connection, None)
        self.traffic.connections = len(self._connections)
        if self._empty is not None and not self._connections:
            self._empty.set()

    def _make_room(self) -> None:
        """Close what has been idle for longest: the newcomer, where all others have requests."""
        idle = {each: since for each in self._connections if (since := each.idle_since) is not None}
        for each in heapq.nsmallest(max(1, int(_ROOM * len(idle))), idle, key=idle.__getitem__):
            each.abort()
            del self._connections[each]  # now: the next newcomer may come before it is gone

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self.now = loop.time()
        self.traffic.lag_s = max(self.now - self._tick_due, 0.0)
        self.date = f"Date: {formatdate(time.time(), usegmt=True)}\r\n".encode()
        self._tick_due = self.now + _TICK_S
        self._timer = loop.call_at(self._tick_due, self._tick)
        for connection in list(self._connections):
            connection.check(self.now)
