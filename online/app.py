"""The Flask application: the views of every protocol, and what is done for each request."""

from __future__ import annotations

from time import perf_counter

from flask import Flask, Response, g, request
from werkzeug.routing import BaseConverter

from online.admission import Admission
from online.config import ServeConfig
from online.exchange import KEY, exchange_headers
from online.failure import failure
from online.front import Front
from online.holder import Holder
from online.metrics import Metrics
from online.request_log import RequestLog
from online.serving import Serving
from online.token import Tokens
from online.views import open_inference, operations, predict, single_row, tensorflow_serving

# What may become the value of a label: anybody can send a method of his own.
_METHODS = {"GET", "HEAD", "POST"}


class _Part(BaseConverter):
    """A path segment up to the colon of ``:predict``."""

    regex = "[^/:]+"


def create_app(
    holder: Holder, config: ServeConfig, *, metrics: Metrics | None = None, tokens: Tokens | None = None
) -> Flask:
    """Return the application over what a holder holds, with the front before it."""
    app = Flask(__name__, static_folder=None)
    app.url_map.converters["part"] = _Part
    serving = Serving(
        holder=holder, config=config, metrics=metrics or Metrics(), admission=Admission(config.max_concurrent)
    )
    for views in (single_row, predict, tensorflow_serving, open_inference, operations):
        views.mount(app, serving)
    log = RequestLog(config.log_requests)

    def end(response: Response) -> Response:
        method = request.method if request.method in _METHODS else "other"
        key = g.model, method, g.source, response.status_code
        identifier, seconds = g.exchange.request_id, perf_counter() - g.exchange.started
        response.headers.extend(exchange_headers(identifier, seconds))
        serving.metrics.observe(key, seconds)
        log.write(request.environ, key, identifier, seconds)
        return response

    app.before_request(_begin)
    app.after_request(end)
    app.register_error_handler(Exception, failure)
    app.wsgi_app = Front(app.wsgi_app, serving, tokens, log)  # type: ignore[method-assign]
    return app


def _begin() -> None:
    """Take the exchange over. The counts begin without a model: only known names may become labels."""
    g.exchange, g.model, g.source = request.environ[KEY], "", ""
