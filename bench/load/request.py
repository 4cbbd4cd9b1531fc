"""A request that load generators send."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import orjson


@dataclass(frozen=True)
class Request:
    """One request to a server on this machine.

    Attributes:
        path: with its query.
        method: of HTTP.
        headers: beyond ``Host`` and ``Content-Length``.
        body: empty for none.
    """

    path: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def raw(self) -> bytes:
        """Return it as HTTP/1.1 has it; the connection stays open."""
        headers = [("Host", "localhost"), *self.headers]
        if self.body:
            headers.append(("Content-Length", str(len(self.body))))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        return f"{self.method} {self.path} HTTP/1.1\r\n{head}\r\n".encode() + self.body

    def target(self, port: int) -> bytes:
        """Return it as a line of vegeta's JSON targets."""
        return orjson.dumps(
            {
                "method": self.method,
                "url": f"http://127.0.0.1:{port}{self.path}",
                "header": {name: [value] for name, value in self.headers},
                "body": base64.b64encode(self.body).decode(),
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )


def json_request(path: str, document: object) -> Request:
    """Return a POST of JSON."""
    return Request(path, "POST", (("Content-Type", "application/json"),), orjson.dumps(document))


def write_raw(requests: Iterable[Request], file: Path) -> None:
    """Write what ``requests.lua`` reads: each request after its length, in 8 digits."""
    with file.open("wb") as out:
        for raw in (request.raw() for request in requests):
            out.write(b"%08d" % len(raw) + raw)


def write_targets(requests: Iterable[Request], port: int, file: Path) -> None:
    """Write what vegeta reads with ``-format json``."""
    file.write_bytes(b"".join(request.target(port) for request in requests))
