"""A client of the application itself: no socket, no HTTP, one event loop of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from online.front import Front
from online.http.reply import Reply
from online.http.request import Request

_WAIT_S = 60


class Response:
    """A reply, read as a client reads it."""

    def __init__(self, reply: Reply) -> None:
        """Split the headers."""
        self.status_code, self.data = reply.code, reply.body
        lines = [line.partition(": ") for line in reply.headers.decode("latin-1").splitlines()]
        self.headers = {name: value for name, _, value in lines}
        assert len(self.headers) == len(lines), "a header came twice"

    @property
    def content_type(self) -> str:
        """The whole ``Content-Type``."""
        return self.headers["Content-Type"]

    @property
    def text(self) -> str:
        """The body as text."""
        return self.data.decode()

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.data)


class AppClient:
    """Asks an application. ``begin`` and ``end`` let several requests be under way at once."""

    def __init__(self, front: Front) -> None:
        """Ask this one."""
        self.front, self._loop = front, asyncio.new_event_loop()

    def close(self) -> None:
        """End the application's threads."""
        self.front.close()
        self._loop.close()

    def get(self, target: str, headers: Mapping[str, str] | None = None) -> Response:
        """GET."""
        return self.ask("GET", target, headers)

    def head(self, target: str) -> Response:
        """HEAD."""
        return self.ask("HEAD", target)

    def delete(self, target: str) -> Response:
        """DELETE."""
        return self.ask("DELETE", target)

    def post(
        self,
        target: str,
        data: bytes | str = b"",
        headers: Mapping[str, str] | None = None,
        content_type: str = "",
    ) -> Response:
        """POST."""
        typed = {"Content-Type": content_type} if content_type else {}
        return self.ask("POST", target, {**typed, **(headers or {})}, data)

    def ask(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, data: bytes | str = b""
    ) -> Response:
        """Send one request, and wait for its answer."""
        return self.end(self.begin(method, target, headers, data))

    def begin(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, data: bytes | str = b""
    ) -> asyncio.Future[Reply]:
        """Send one request; the application has it when this returns."""
        return self.begin_together([_request(method, target, headers, data)])[0]

    def post_together(
        self, target: str, data: Sequence[str], headers: Mapping[str, str] | None = None
    ) -> list[Response]:
        """POST several that come in one turn of the event loop; return their answers in this order."""
        begun = self.begin_together([_request("POST", target, headers, body) for body in data])
        return [self.end(answered) for answered in begun]

    def begin_together(self, requests: Sequence[Request]) -> list[asyncio.Future[Reply]]:
        """Send several in one turn of the event loop."""

        async def begin() -> list[asyncio.Future[Reply]]:
            answered: list[asyncio.Future[Reply]] = [self._loop.create_future() for _ in requests]
            for request, future in zip(requests, answered, strict=True):
                self.front.answer(request, future.set_result)
            return answered

        return self._loop.run_until_complete(begin())

    def end(self, answered: asyncio.Future[Reply]) -> Response:
        """Wait for the answer to a request that was begun."""

        async def end() -> Reply:
            return await asyncio.wait_for(answered, _WAIT_S)

        return Response(self._loop.run_until_complete(end()))


def _request(method: str, target: str, headers: Mapping[str, str] | None, data: bytes | str) -> Request:
    given = {name.lower().encode(): value.encode() for name, value in (headers or {}).items()}
    body = data if isinstance(data, bytes) else data.encode()
    return Request(method, target.encode(), given, body=body, client="127.0.0.1")
