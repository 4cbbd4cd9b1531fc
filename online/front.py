"""The front: what every request comes to. Short answers are given at once; what may take long gets a thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from online.endpoints.routing import route_of
from online.endpoints.row_work import RowWork
from online.endpoints.work import Work
from online.exchange import Exchange
from online.failure import RETRY_AFTER, failure, told
from online.http.application import Send
from online.http.reply import Reply, header
from online.http.request import Request
from online.scheduling import give_way
from online.serving import Serving
from online.threads import Threads
from online.token import Tokens
from online.turn import Turn
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
    them on would. Rows for such a model are answered together with those that came in the same turn of the loop. All
    else takes one of ``--max-concurrent`` places and waits for a thread, or is told to come back.
    What describes the server is Flask's, in a thread of its own.

    Attributes:
        serving: what it answers with.
    """

    def __init__(self, serving: Serving, views: WSGIApplication, tokens: Tokens | None) -> None:
        """Answer by ``serving``, and by ``views`` what is no request for predictions."""
        self.serving, self._views, self._tokens = serving, views, tokens
        self._turn = Turn(serving.finish)
        # More would only wait for interpreters, and take them out of turn.
        config = serving.config
        self._workers = Threads(config.threads, "worker", give_way if config.model_priority == "idle" else None)
        self._describer = Threads(1, "describer")

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
            reply = self._reply(exchange, send)
        except Exception as error:
            reply = failure(error, exchange)
        if reply is not None:
            send(self.serving.finish(exchange, reply))

    def fault(self, request: Request, code: int, text: str) -> Reply:
        """Return the reply to what cannot be answered."""
        return self.serving.finish(Exchange(request), told(code, text, *([RETRY_AFTER] if code == 503 else [])))

    def close(self) -> None:
        """End the threads, once nothing is under way any more."""
        self._workers.close()
        self._describer.close()

    def _reply(self, exchange: Exchange, send: Send) -> Reply | None:
        """Return the reply, or None where a thread makes it."""
        request = exchange.request
        route = route_of(request.path)
        if route is None:
            self._describe(exchange, send)
            return None
        outcome = route.begin(self.serving, exchange)
        if isinstance(outcome, Work) and outcome.quick and len(request.body) <= _SHORT_BODY_BYTES:
            outcome = outcome.begin()
        if isinstance(outcome, Reply):
            return outcome
        if isinstance(outcome, RowWork) and outcome.served.quick:
            self._turn.add(outcome, send)
        else:
            self._hand_over(outcome.answer, exchange, send)
        return None

    def _describe(self, exchange: Exchange, send: Send) -> None:
        call = partial(wsgi.call, self._views, exchange)
        self._describer.run(call, exchange, lambda reply: send(self.serving.finish(exchange, reply)))

    def _hand_over(self, answer: Callable[[], Reply], exchange: Exchange, send: Send) -> None:
        """Let a worker's thread answer; where none is free before the deadline, the model need not be waited for."""
        deadline = exchange.deadline
        admission, overdue = self.serving.admission, None
        admission.take()

        def end(reply: Reply) -> None:
            if overdue is not None:
                overdue.cancel()
            admission.give_back()
            send(self.serving.finish(exchange, reply))

        begun = self._workers.run(answer, exchange, end)

        def hurry() -> None:
            if begun.cancel():
                self._describer.run(answer, exchange, end)

        if deadline is not None:
            overdue = asyncio.get_running_loop().call_later(max(deadline - time.time(), 0), hurry)

    def _may_pass(self, request: Request) -> bool:
        tokens = self._tokens
        return tokens is None or request.path in _OPEN or tokens.accept(request.header(b"authorization"))

    def _unauthorised(self, exchange: Exchange) -> Reply:
        refusal = told(401, "Authorization must be 'Bearer TOKEN' with a token of this server", _CHALLENGE)
        return self.serving.finish(exchange, refusal)
