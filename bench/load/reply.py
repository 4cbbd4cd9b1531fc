"""One request asked for its answer, on a connection of its own or on one that stays."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.load.request import Request

_TIMEOUT_S = 60


@dataclass(frozen=True)
class Reply:
    """What a server said.

    Attributes:
        status: of HTTP.
        headers: by lower-case name.
        body: all of it.
    """

    status: int
    headers: dict[str, str]
    body: bytes


@contextmanager
def connected(port: int) -> Iterator[http.client.HTTPConnection]:
    """Hold a connection to a server on this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    try:
        yield connection
    finally:
        connection.close()


def ask(connection: http.client.HTTPConnection, request: Request) -> Reply:
    """Send a request; return its answer."""
    connection.request(request.method, request.path, request.body or None, dict(request.headers))
    response = connection.getresponse()
    body = response.read()
    return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, body)


def reply(port: int, request: Request) -> Reply:
    """Ask on a connection of its own."""
    with connected(port) as connection:
        return ask(connection, request)
