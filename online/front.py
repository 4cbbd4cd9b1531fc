"""The front: what every request comes to. Short answers are given at once; what may take long gets a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from online.endpoints.routing import route_of
from online.endpoints.work import Work
from online.exchange import Exchange
from online.failure import RETRY_AFTER, failure, told
from online.http.application import Send
from online.http.reply import Reply, header
from online.http.request import Request
from online.serving import Serving
from online.token import Tokens
from online.views import wsgi

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# Probes come from a kubelet, which knows no token.
_OPEN = {"/livez", "/readyz", "/v2/health/live", "/v2/health/ready"}
_CHALLENGE = header("WWW-Authenticate", "Bearer")
# Bodies that are answered on the event loop's thread where the model is quick. Longer ones would keep lookups waiting.
_SHORT_BODY_BYTES = 4 << 10


class Front:
    """The ``Application`` of the HTTP server. All its methods are for the event loop's thread.

    A lookup, a fault and a short request to a quick model are answered on that thread: they take no longer than to hand
    them on would. All else takes one of ``--max-concurrent`` places, each with a thread, or is told to come back. What
    describes the server is Flask's, in a thread beside those.

    Attributes:
        serving: what it answers with.
    """

    def __init__(self, serving: Serving, views: WSGIApplication, tokens: Tokens | None) -> None:
        """Answer by ``serving``, and by ``views`` what is no request for predictions."""
        self.serving, self._views, self._tokens = serving, views, tokens
        self._workers = ThreadPoolExecutor(serving.admission.places, "worker")
        self._describer = ThreadPoolExecutor(1, "describer")

    def refuse(self, request: Request) -> Reply | None:
        """Refuse a body that nobody may send, before it comes."""
        if self._may_pass(request):
            return None
        return self._unauthorised(Exchange(request))

    def answer(self, request: Request, send: Send) -> None:
        """Answer, now or later."""
        exchange = Exchange(request)
        if not self._may_pass(request):
            send(self._unauthorised(exchange))
            return
        try:
            route = route_of(request.path)
            if route is None:
                self._hand_over(self._describer, partial(wsgi.call, self._views, exchange), exchange, send)
                return
            begun = route.begin(self.serving, exchange)
            if isinstance(begun, Reply):
                reply = begun
            else:
                served, outcome = begun
                if isinstance(outcome, Reply):
                    reply = outcome
                elif served.quick and len(request.body) <= _SHORT_BODY_BYTES:
                    reply = outcome()
                else:
                    self.serving.admission.take()
                    self._hand_over(self._workers, outcome, exchange, send, self.serving.admission.give_back)
                    return
        except Exception as error:
            reply = failure(error, exchange)
        send(self.serving.finish(exchange, reply))

    def fault(self, request: Request, code: int, text: str) -> Reply:
        """Return the reply to what cannot be answered."""
        return self.serving.finish(Exchange(request), told(code, text, *([RETRY_AFTER] if code == 503 else [])))

    def close(self) -> None:
        """End the threads, once nothing is under way any more."""
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._describer.shutdown(wait=False, cancel_futures=True)

    def _hand_over(
        self,
        threads: ThreadPoolExecutor,
        work: Work,
        exchange: Exchange,
        send: Send,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        """Let a thread work; come back to this one to send what came of it."""
        loop = asyncio.get_running_loop()

        def end(reply: Reply) -> None:
            done()
            send(self.serving.finish(exchange, reply))

        def run() -> None:
            try:
                reply = work()
            except Exception as error:
                reply = failure(error, exchange)
            loop.call_soon_threadsafe(end, reply)

        threads.submit(run)

    def _may_pass(self, request: Request) -> bool:
        tokens = self._tokens
        return tokens is None or request.path in _OPEN or tokens.accept(request.header(b"authorization"))

    def _unauthorised(self, exchange: Exchange) -> Reply:
        refusal = told(401, "Authorization must be 'Bearer TOKEN' with a token of this server", _CHALLENGE)
        return self.serving.finish(exchange, refusal)
