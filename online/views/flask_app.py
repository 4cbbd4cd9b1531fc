"""The Flask application: what describes the server. Predictions do not come here."""

from __future__ import annotations

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import BaseConverter

from online.failure import failure, told
from online.http.reply import Reply, header
from online.serving import Serving
from online.views import open_inference, operations, tensorflow_serving
from online.views.places import current_exchange


class _Part(BaseConverter):
    """A segment of a path, without a colon, which ``:predict`` begins with."""

    regex = "[^/:]+"


def create_flask_app(serving: Serving) -> Flask:
    """Return the application."""
    app = Flask(__name__, static_folder=None, template_folder="../templates")
    app.url_map.converters["part"] = _Part
    for views in (tensorflow_serving, open_inference, operations):
        views.mount(app, serving)
    app.register_error_handler(Exception, _failure)
    return app


def _failure(error: Exception) -> Response:
    reply = _http_failure(error) if isinstance(error, HTTPException) else failure(error, current_exchange())
    lines = [line.partition(": ") for line in reply.headers.decode("latin-1").splitlines()]
    return Response(reply.body, reply.code, [(name, value) for name, _, value in lines])


def _http_failure(error: HTTPException) -> Reply:
    code = error.code or 500
    if isinstance(error, MethodNotAllowed):
        methods = ", ".join(sorted(error.valid_methods or ()))
        text = f"method must be one of {methods}; got {request.method[:80]}"
        return told(code, text, header("Allow", methods))
    if code == 404:
        text = "path must be one that /openapi.json has, such as /v1/models/NAME:predict; got one that does not exist"
        return told(code, text)
    return told(code, f"{error.name}: {error.description}")
