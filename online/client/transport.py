"""One request, sent until it is answered or there is no use in trying."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import httpx

from engine.errors import BadSettings, DeadlineExceeded, Unavailable
from online.client.failure import refusal, settings_at_fault, told
from online.client.retry import RETRIED, Retry, retry_after_s
from online.client.settings import ClientSettings

_REQUEST_ID, _DEADLINE = "X-Request-Id", "Foretable-Deadline"
# A server may close a connection just as the next request is put on it; httpx drops those that were idle longer than
# this. What is lost all the same is tried again.
_IDLE_S = 5.0


@dataclass(frozen=True)
class Request:
    """What is asked; sent again unchanged by each try.

    Attributes:
        headers: its own, with its ``X-Request-Id`` and ``Foretable-Deadline``.
        deadline: ``time.time`` seconds until which its answer is of use, or None.
    """

    method: str
    url: str
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    deadline: float | None = None

    @property
    def request_id(self) -> str:
        """Of all its tries."""
        return self.headers[_REQUEST_ID]


class Transport:
    """Sends requests over a pool of connections, ``concurrency`` of them at once. Belongs to one event loop.

    A request that pauses keeps its place: to a server that says "not now", no other is sent instead.
    """

    def __init__(self, settings: ClientSettings, *, wait: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        """Open nothing yet; ``wait`` pauses for seconds.

        Raises:
            BadSettings: a header or the certificates cannot be used.
        """
        self._settings, self._wait = settings, wait
        self._places = asyncio.Semaphore(settings.concurrency)
        headers = {"Accept-Encoding": "identity", **settings.headers}  # unpacking would cost more than a local wire
        if settings.token is not None:
            headers["Authorization"] = f"Bearer {settings.token}"
        limits = httpx.Limits(
            max_connections=settings.concurrency,
            max_keepalive_connections=settings.concurrency,
            keepalive_expiry=_IDLE_S,
        )
        # No timeout for a free connection: the places above already bound who asks for one.
        timeout = httpx.Timeout(settings.timeout_s, pool=None)
        try:
            self._http = httpx.AsyncClient(headers=headers, limits=limits, timeout=timeout, verify=_trust(settings))
        except (OSError, UnicodeError) as error:
            message = f"verify, token and headers must be usable: a PEM file, ASCII texts; got {error}"
            raise BadSettings(message) from error

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    def request(
        self,
        method: str,
        suffix: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Request:
        """Return a request for what stands at the model's place, its identity and its deadline fixed now."""
        own = httpx.Headers(headers)
        own.setdefault(_REQUEST_ID, secrets.token_hex(16))
        deadline = None
        if self._settings.deadline_s is not None:
            deadline = time.time() + self._settings.deadline_s
            own.setdefault(_DEADLINE, str(int(deadline * 1000)))
        return Request(method, self._settings.place_url(suffix), content, own, deadline)

    async def send(self, request: Request) -> httpx.Response:
        """Return the answer: a 200 or a 304, read to its end.

        Raises:
            InvalidInput: the server refused it; so ``NotFound``, and ``BadSettings`` of token, url or certificate.
            Unavailable: no try was answered.
            DeadlineExceeded: none was in time.
            EngineBug: the server failed in a way that it does not call temporary.
        """
        async with self._places:
            tries = Retry(self._settings.retries, self._settings.give_up_s)
            while True:
                asked_s = None
                outcome = await self._try(request, tries)
                if isinstance(outcome, httpx.Response):
                    if outcome.status_code in {200, 304}:
                        return outcome
                    if outcome.status_code not in RETRIED:
                        raise refusal(outcome, request.request_id)
                    asked_s = retry_after_s(outcome.headers, time.time())
                pause_s = None if _is_late(request, 0.0) else tries.next_pause_s(asked_s)
                if pause_s is None or _is_late(request, pause_s):
                    raise _gave_up(request, tries, outcome, asked_s)
                await self._wait(pause_s)

    async def pause(self, seconds: float) -> None:
        """Pause as between two tries."""
        await self._wait(seconds)

    async def _try(self, request: Request, tries: Retry) -> httpx.Response | httpx.RequestError | TimeoutError:
        try:
            # httpx's own timeouts begin anew with every piece that arrives: this one is for the whole of it.
            async with asyncio.timeout(min(self._settings.timeout_s, tries.left_s)):
                return await self._http.request(
                    request.method, request.url, content=request.content, headers=request.headers
                )
        except httpx.RequestError as error:
            at_fault = settings_at_fault(error)
            if at_fault is not None:
                raise at_fault from error
            return error
        except TimeoutError as error:
            return error


def _trust(settings: ClientSettings) -> ssl.SSLContext | bool:
    return ssl.create_default_context(cafile=settings.verify) if isinstance(settings.verify, str) else settings.verify


def _is_late(request: Request, pause_s: float) -> bool:
    return request.deadline is not None and time.time() + pause_s >= request.deadline


def _gave_up(request: Request, tries: Retry, outcome: httpx.Response | Exception, asked_s: float | None) -> Unavailable:
    if isinstance(outcome, httpx.Response):
        got = f"{outcome.status_code}: {told(outcome)}"
    else:
        got = "no answer in time" if isinstance(outcome, TimeoutError) else f"{type(outcome).__name__}: {outcome}"
    where = f"{request.method} {request.url.partition('?')[0]} (request {request.request_id})"
    after = f"after {tries.tries} tries in {tries.elapsed_s:.1f} s"
    if _is_late(request, asked_s or 0.0):
        error: Unavailable = DeadlineExceeded(
            f"{where}: must be answered before its deadline; got {got}, {after}. Give a longer deadline_s"
        )
    else:
        asked = "" if asked_s is None else f", which asks to wait {asked_s:.0f} s"
        error = Unavailable(
            f"{where}: must be answered; got {got}{asked}, {after}. Try later, or raise retries and give_up_s"
        )
    if isinstance(outcome, Exception):
        error.__cause__ = outcome
    return error
