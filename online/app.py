"""The application: Flask for what describes the server, and the front, which predicts, before it."""

from __future__ import annotations

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import BaseConverter

from online.admission import Admission
from online.config import ServeConfig
from online.exchange import KEY, Exchange
from online.failure import failure, told
from online.front import Front
from online.holder import Holder
from online.metrics import Metrics
from online.reply import Reply
from online.request_log import RequestLog
from online.serving import Serving
from online.token import Tokens
from online.views import open_inference, operations, tensorflow_serving


class _Part(BaseConverter):
    """A segment of a path, without a colon, which ``:predict`` begins with."""

    regex = "[^/:]+"


def create_app(
    holder: Holder, config: ServeConfig, *, metrics: Metrics | None = None, tokens: Tokens | None = None
) -> Flask:
    """Return the application over what a holder holds."""
    app = Flask(__name__, static_folder=None)
    app.url_map.converters["part"] = _Part
    serving = Serving(
        holder=holder,
        config=config,
        metrics=metrics or Metrics(),
        admission=Admission(config.max_concurrent),
        log=RequestLog(config.log_requests),
    )
    for views in (tensorflow_serving, open_inference, operations):
        views.mount(app, serving)

    def end(response: Response) -> Response:
        response.headers.extend(serving.finish(current_exchange(), response.status_code))
        return response

    app.after_request(end)
    app.register_error_handler(Exception, _failure)
    app.wsgi_app = Front(app.wsgi_app, serving, tokens)  # type: ignore[method-assign]
    return app


def current_exchange() -> Exchange:
    """Return the exchange of the request that Flask answers now."""
    exchange: Exchange = request.environ[KEY]
    return exchange


def _failure(error: Exception) -> Response:
    reply = _http_failure(error) if isinstance(error, HTTPException) else failure(error, current_exchange())
    return Response(reply.body, reply.code, reply.headers)


def _http_failure(error: HTTPException) -> Reply:
    code = error.code or 500
    allow = [(name, value) for name, value in error.get_headers() if name == "Allow"]
    if isinstance(error, MethodNotAllowed):
        methods = ", ".join(sorted(error.valid_methods or ()))
        return told(code, f"method must be one of {methods}; got {request.method[:80]}", *allow)
    if code == 404:
        return told(
            code,
            "path must be one that /openapi.json has, such as /v1/models/NAME:predict; got one that does not exist",
        )
    return told(code, f"{error.name}: {error.description}")
