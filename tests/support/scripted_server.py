"""A real HTTP server that does as a script says, request by request: what a good server never does on demand."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Its ``instances``."""
        found: list[dict[str, Any]] = json.loads(self.body)["instances"]
        return found


@dataclass(frozen=True)
class Reply:
    """What is answered. Without a status the connection is reset."""

    status: int | None = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)


RESET = Reply(None)


def predictions(asked: Asked, *, release: int = 1) -> Reply:
    """Answer each row by its ``x``, as the server would."""
    headers = {"Foretable-Release": str(release), "Foretable-Source": "model"}
    return Reply(200, {"predictions": [{"y": row["x"], "z": 0.5} for row in asked.rows]}, headers)


class ScriptedServer:
    """Listens on a free port inside a ``with`` block.

    Attributes:
        asked: all requests, in the order in which they came.
        most_at_once: how many were under way together, at most.
    """

    def __init__(self, script: Callable[[Asked, int], Reply]) -> None:
        """Answer by ``script``, which gets the request and its number from 0, on a thread of the request."""
        self.asked: list[Asked] = []
        self.most_at_once = 0
        self._at_once, self._lock = 0, threading.Lock()
        self._script = script
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reply(self, asked: Asked) -> Reply:
        """Count a request, and do as the script says."""
        with self._lock:
            number = len(self.asked)
            self.asked.append(asked)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return self._script(asked, number)
        finally:
            with self._lock:
                self._at_once -= 1

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30
            wbufsize = -1  # head and body in one packet: in two, the second waits for the first's delayed ACK

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = scripted.reply(Asked(self.command, self.path, headers, body))
                if reply.status is None:
                    # A linger of 0 makes closing a reset.
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.close_connection = True
                    self.connection.close()
                    return
                content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in {**reply.headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET  # noqa: N815 (the name is http.server's)

            def finish(self) -> None:
                with contextlib.suppress(OSError):  # the script may have reset the connection
                    super().finish()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler
