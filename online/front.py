"""The front: the WSGI application that every request comes to. It predicts; Flask, behind it, does the rest."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, Any

from engine.answer import Source
from engine.errors import InvalidInput
from online.endpoints.routing import Route, route_of
from online.exchange import KEY, Exchange, exchange_headers, request_id
from online.failure import failure, told
from online.holder import Place
from online.query import parse_query
from online.reply import Reply
from online.responses import etag_matches
from online.serving import Serving
from online.token import Tokens

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

# Probes come from a kubelet, which knows no token.
_OPEN = {"/livez", "/readyz", "/v2/health/live", "/v2/health/ready"}
_STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


class Front:
    """A WSGI application in front of another, which gets what is no request for predictions.

    A request for a small model's answer takes less time than Flask does to dispatch it. The shortest path is the
    table's answer to ``GET /v1/models/M[/labels/L]:predict?…``; where it does not end in one, the endpoint answers.
    """

    def __init__(self, wsgi_app: WSGIApplication, serving: Serving, tokens: Tokens | None) -> None:
        """Stand in front of ``wsgi_app``."""
        self._wsgi_app, self._serving, self._tokens, self._log = wsgi_app, serving, tokens, serving.log
        self._current, self._observe = serving.holder.current, serving.metrics.observe
        self._logs_all = serving.log.least_code <= 200  # a call that does nothing is a twentieth of a lookup
        holder = serving.holder
        # Everything about a lookup's path that does not change with the release.
        self._places: dict[str, Place] = {
            f"/v1/models/{model}{at}:predict": (model, label)
            for model in holder.models
            for at, label in (("", holder.labels[0]), *((f"/labels/{label}", label) for label in holder.labels))
        }
        text = Source.TABLE.text
        self._keys = {model: ((model, "GET", text, 200), (model, "GET", text, 304)) for model in holder.models}

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer, or let the other application answer."""
        if self._tokens is not None and not self._may_pass(environ, self._tokens):
            refusal = told(401, "Authorization must be 'Bearer TOKEN' with a token of this server", _CHALLENGE)
            return self._send(refusal, Exchange(environ), start_response)
        path = environ["PATH_INFO"]
        place = self._places.get(path)
        if place is not None and environ["REQUEST_METHOD"] == "GET":
            looked_up = self._look_up(place, environ, start_response)
            if looked_up is not None:
                return looked_up
        route = route_of(path)
        if route is None:
            environ[KEY] = Exchange(environ)
            return self._wsgi_app(environ, start_response)
        return self._predict(route, Exchange(environ), start_response)

    def _look_up(self, place: Place, environ: dict[str, Any], start_response: StartResponse) -> list[bytes] | None:
        """Answer a GET from the table; None where it is a miss or at fault, which the endpoint then finds again."""
        started = perf_counter()
        served = self._current.get(place)
        if served is None or served.predictor.table is None:
            return None
        try:
            answer = served.predictor.lookup(parse_query(environ["QUERY_STRING"]))
        except InvalidInput:
            return None
        if answer is None:
            return None
        renderer, (key, not_modified_key) = served.renderer, self._keys[place[0]]
        wanted = environ.get("HTTP_IF_NONE_MATCH")
        if wanted is not None and etag_matches(wanted, renderer.etags[Source.TABLE]):
            status, key, body = "304 Not Modified", not_modified_key, []
            headers = renderer.not_modified_headers(Source.TABLE)
        else:
            status, body = "200 OK", [renderer.row(answer)]
            headers = renderer.row_headers(Source.TABLE, body[0])
        identifier, seconds = request_id(environ), perf_counter() - started
        headers += exchange_headers(identifier, seconds)
        start_response(status, headers)
        self._observe(key, seconds)
        if self._logs_all:
            self._log.write(environ, key, identifier, seconds)
        return body

    def _predict(self, route: Route, exchange: Exchange, start_response: StartResponse) -> list[bytes]:
        try:
            reply = route.reply(self._serving, exchange)
        except Exception as error:
            reply = failure(error, exchange)
        return self._send(reply, exchange, start_response)

    def _send(self, reply: Reply, exchange: Exchange, start_response: StartResponse) -> list[bytes]:
        start_response(_STATUS[reply.code], [*reply.headers, *self._serving.finish(exchange, reply.code)])
        return [reply.body] if reply.body and exchange.environ["REQUEST_METHOD"] != "HEAD" else []

    @staticmethod
    def _may_pass(environ: dict[str, Any], tokens: Tokens) -> bool:
        return environ["PATH_INFO"] in _OPEN or tokens.accept(environ.get("HTTP_AUTHORIZATION"))


_CHALLENGE = ("WWW-Authenticate", "Bearer")
