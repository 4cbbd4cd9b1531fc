"""The front: what stands before Flask. It holds what every request must pass, and answers lookups itself."""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from engine.answer import Source
from engine.errors import InvalidInput
from online.exchange import DEADLINE, KEY, Exchange, exchange_headers, request_id
from online.query import parse_query
from online.request_log import RequestLog
from online.responses import JSON, NO_STORE, etag_matches, to_json
from online.serving import Serving
from online.token import Tokens

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

# Probes come from a kubelet, which knows no token.
_OPEN = {"/livez", "/readyz", "/v2/health/live", "/v2/health/ready"}


class Front:
    """A WSGI application in front of another.

    Every request gets its exchange here, and is refused without the token where one is needed. The fast path is the
    table's answer to ``GET /v1/models/M[/labels/L]:predict?…``. Misses, errors, deadlines, other methods and other
    paths fall through to Flask; so bodies and headers are those that the views would give.
    """

    def __init__(
        self, wsgi_app: WSGIApplication, serving: Serving, tokens: Tokens | None, request_log: RequestLog
    ) -> None:
        """Stand in front of ``wsgi_app``."""
        self._wsgi_app, self._tokens, self._log = wsgi_app, tokens, request_log
        self._current, self._observe = serving.holder.current, serving.metrics.observe
        self._logs_all = request_log.least_code <= 200  # a call that does nothing is a twentieth of a lookup
        text, holder = Source.TABLE.text, serving.holder
        # Everything about a path that does not change with the release.
        self._paths = {
            f"/v1/models/{model}{at}:predict": ((model, label), (model, "GET", text, 200), (model, "GET", text, 304))
            for model in holder.models
            for at, label in (("", holder.labels[0]), *((f"/labels/{label}", label) for label in holder.labels))
            if serving.config.fast_path
        }

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer, or let Flask answer."""
        if self._tokens is not None and not self._may_pass(environ):
            return self._unauthorized(environ, start_response)
        path = self._paths.get(environ["PATH_INFO"])
        if path is None or environ["REQUEST_METHOD"] != "GET" or DEADLINE in environ:
            return self._pass_on(environ, start_response)
        started = perf_counter()
        place, key, not_modified_key = path
        served = self._current.get(place)
        if served is None:
            return self._pass_on(environ, start_response)
        try:
            answer = served.predictor.lookup(parse_query(environ["QUERY_STRING"]))
        except InvalidInput:
            answer = None
        if answer is None:
            return self._pass_on(environ, start_response)
        renderer = served.renderer
        wanted = environ.get("HTTP_IF_NONE_MATCH")
        if wanted is not None and etag_matches(wanted, renderer.etags[Source.TABLE]):
            status, key, body = "304 NOT MODIFIED", not_modified_key, b""
            headers = renderer.not_modified_headers(Source.TABLE)
        else:
            status, body = "200 OK", renderer.row(answer)
            headers = renderer.row_headers(Source.TABLE, body)
        identifier, seconds = request_id(environ), perf_counter() - started
        headers += exchange_headers(identifier, seconds)
        start_response(status, headers)
        self._observe(key, seconds)
        if self._logs_all:
            self._log.write(environ, key, identifier, seconds)
        return [body] if body else []

    def _pass_on(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        environ[KEY] = Exchange(environ)
        return self._wsgi_app(environ, start_response)

    def _may_pass(self, environ: dict[str, Any]) -> bool:
        assert self._tokens is not None
        return environ["PATH_INFO"] in _OPEN or self._tokens.accept(environ.get("HTTP_AUTHORIZATION"))

    def _unauthorized(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Refuse, before a byte of the body is read."""
        exchange = Exchange(environ)
        body = to_json({"error": "Authorization must be 'Bearer TOKEN' with a token of this server"})
        headers = [JSON, ("Content-Length", str(len(body))), NO_STORE, ("WWW-Authenticate", "Bearer")]
        seconds = perf_counter() - exchange.started
        headers += exchange_headers(exchange.request_id, seconds)
        start_response("401 UNAUTHORIZED", headers)
        key = "", "other", "", 401
        self._observe(key, seconds)
        self._log.write(environ, key, exchange.request_id, seconds)
        return [body]
