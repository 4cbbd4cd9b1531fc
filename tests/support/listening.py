"""A listener of this process on a real socket, with limits that no setting gives."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvloop

from online.http.application import Application
from online.http.limits import Limits
from online.http.listener import Listener
from online.http.traffic import Traffic

_WAIT_S = 30


class Listening:
    """What a test may look at.

    Attributes:
        port: of 127.0.0.1.
        traffic: of the listener.
        cut: how many connections had to be cut at the end; known when it is over.
    """

    def __init__(self, port: int, traffic: Traffic) -> None:
        """Begin."""
        self.port, self.traffic, self.cut = port, traffic, -1

    def connect(self, receive_bytes: int | None = None) -> socket.socket:
        """Return a connection, with a small buffer where one is given."""
        made = socket.socket()
        made.settimeout(_WAIT_S)
        if receive_bytes is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        made.connect(("127.0.0.1", self.port))
        return made


@contextmanager
def listening(
    application: Application, limits: Limits, *, tls: ssl.SSLContext | None = None, drain_s: float = 5
) -> Iterator[Listening]:
    """Listen on a free port; drain at the end."""
    bound = socket.create_server(("127.0.0.1", 0))
    traffic, begun, over = Traffic(), threading.Event(), threading.Event()
    listener = Listener(application, limits, traffic)
    found = Listening(bound.getsockname()[1], traffic)

    async def serve() -> None:
        await listener.open(bound, tls)
        begun.set()
        await asyncio.to_thread(over.wait)
        found.cut = await listener.drain(drain_s)

    thread = threading.Thread(target=lambda: uvloop.run(serve()))
    thread.start()
    try:
        assert begun.wait(_WAIT_S)
        yield found
    finally:
        over.set()
        thread.join()
