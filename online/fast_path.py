"""The fast path: GET lookups answered in front of Flask. What it does not fully understand, Flask answers."""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from engine.answer import Source
from engine.errors import InvalidInput
from online.holder import Holder
from online.metrics import Metrics
from online.query import parse_query
from online.responses import etag_matches

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication


class FastPath:
    """A WSGI application in front of another: the table's answers to ``GET /v1/models/M:predict?…``.

    Misses, errors, other methods and other paths fall through; so bodies and headers are those of the renderer that
    the views use, and ``before_request`` hooks do not run for what is answered here.
    """

    def __init__(self, wsgi_app: WSGIApplication, holder: Holder, metrics: Metrics) -> None:
        """Stand in front of ``wsgi_app``."""
        self._wsgi_app, self._current, self._observe = wsgi_app, holder.current, metrics.observe
        text = Source.TABLE.text
        # Everything about a path that does not change with the release.
        self._paths = {
            f"/v1/models/{model}{at}:predict": ((model, label), (model, "GET", text, 200), (model, "GET", text, 304))
            for model in holder.models
            for at, label in (("", holder.labels[0]), *((f"/labels/{label}", label) for label in holder.labels))
        }

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer, or let Flask answer."""
        path = self._paths.get(environ["PATH_INFO"])
        if path is None or environ["REQUEST_METHOD"] != "GET":
            return self._wsgi_app(environ, start_response)
        started = perf_counter()
        place, key, not_modified_key = path
        served = self._current.get(place)
        if served is None:
            return self._wsgi_app(environ, start_response)
        try:
            answer = served.predictor.lookup(parse_query(environ["QUERY_STRING"]))
        except InvalidInput:
            answer = None
        if answer is None:
            return self._wsgi_app(environ, start_response)
        renderer = served.renderer
        wanted = environ.get("HTTP_IF_NONE_MATCH")
        if wanted is not None and etag_matches(wanted, renderer.etags[Source.TABLE]):
            start_response("304 NOT MODIFIED", renderer.not_modified_headers(Source.TABLE))
            self._observe(not_modified_key, perf_counter() - started)
            return []
        body = renderer.row(answer)
        start_response("200 OK", renderer.row_headers(Source.TABLE, body))
        self._observe(key, perf_counter() - started)
        return [body]
