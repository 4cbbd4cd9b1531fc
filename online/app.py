"""The Flask application: the views of every protocol, what is done for each request, and the fast path in front."""

from __future__ import annotations

from time import perf_counter

from flask import Flask, Response, g, request
from werkzeug.routing import BaseConverter

from online.config import ServeConfig
from online.failure import failure
from online.fast_path import FastPath
from online.holder import Holder
from online.metrics import Metrics
from online.serving import Serving
from online.views import operations, single_row, tensorflow_serving

# What may become the value of a label: anybody can send a method of his own.
_METHODS = {"GET", "HEAD", "POST"}


class _Part(BaseConverter):
    """A path segment up to the colon of ``:predict``."""

    regex = "[^/:]+"


def create_app(holder: Holder, config: ServeConfig, metrics: Metrics | None = None) -> Flask:
    """Return the application over what a holder holds, the fast path in front of it where the settings say so."""
    app = Flask(__name__, static_folder=None)
    app.url_map.converters["part"] = _Part
    serving = Serving(holder=holder, config=config, metrics=metrics or Metrics())
    for views in (single_row, tensorflow_serving, operations):
        views.mount(app, serving)
    app.before_request(_begin)

    def count(response: Response) -> Response:
        method = request.method if request.method in _METHODS else "other"
        key = g.model, method, g.source, response.status_code
        serving.metrics.observe(key, perf_counter() - g.started)
        return response

    app.after_request(count)
    app.register_error_handler(Exception, failure)
    if config.fast_path:
        app.wsgi_app = FastPath(app.wsgi_app, holder, serving.metrics)  # type: ignore[method-assign]
    return app


def _begin() -> None:
    """Start the clock. The counts begin without a model: only known names may become labels."""
    g.started, g.model, g.source = perf_counter(), "", ""
