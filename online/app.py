"""The Flask application: routes, and the mapping of the engine's errors to HTTP."""

from __future__ import annotations

import logging
import secrets
from time import perf_counter

import numpy as np
from flask import Flask, Response, g, render_template, request
from prometheus_client import CONTENT_TYPE_LATEST
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.routing import BaseConverter

from engine.answer import Answer, Answers, Source
from engine.errors import BadSettings, ForetableError, InvalidInput, NotFound, Unavailable
from online import description
from online.config import ServeConfig
from online.fast_path import FastPath
from online.holder import Holder, Served
from online.metrics import Metrics, exposition
from online.predict_body import TooManyRows, parse_body
from online.query import parse_query
from online.responses import JSON, NO_STORE, Headers, etag_matches, to_json

_log = logging.getLogger(__name__)
_MODEL = "/v1/models/<part:model>"
# What may carry JSON. curl -d says it is a form, and TensorFlow Serving never looks.
_JSON_TYPES = {"", "application/json", "text/json", "text/plain", "application/x-www-form-urlencoded"}


class _Part(BaseConverter):
    """A path segment up to the colon of ``:predict``."""

    regex = "[^/:]+"


class _UnsupportedBody(InvalidInput):
    """The body's type or encoding is not one that is read."""


def create_app(holder: Holder, config: ServeConfig, metrics: Metrics | None = None) -> Flask:
    """Return the application over what a holder holds, the fast path in front of it where the settings say so."""
    app = Flask(__name__, static_folder=None)
    app.url_map.converters["part"] = _Part
    views = _Views(holder, config, metrics or Metrics())
    for place in ("", "/versions/<part:version>", "/labels/<part:label>"):
        app.add_url_rule(f"{_MODEL}{place}:predict", f"get{place}", views.get, methods=["GET"])
        app.add_url_rule(f"{_MODEL}{place}:predict", f"post{place}", views.post, methods=["POST"])
        app.add_url_rule(f"{_MODEL}{place}", f"status{place}", views.status, methods=["GET"])
        app.add_url_rule(f"{_MODEL}{place}/metadata", f"metadata{place}", views.metadata, methods=["GET"])
    for path in ("livez", "readyz", "metrics"):
        app.add_url_rule(f"/{path}", path, getattr(views, path), methods=["GET"])
    app.add_url_rule("/", "page", views.page, methods=["GET"])
    app.before_request(views.begin)
    app.after_request(views.count)
    app.register_error_handler(Exception, views.fail)
    if config.fast_path:
        app.wsgi_app = FastPath(app.wsgi_app, holder, views.metrics_store)  # type: ignore[method-assign]
    return app


class _Views:
    """One method a route."""

    def __init__(self, holder: Holder, config: ServeConfig, metrics: Metrics) -> None:
        self._holder, self._config, self.metrics_store = holder, config, metrics

    def begin(self) -> None:
        """Start the clock. The counts begin without a model: only known names may become labels."""
        g.started, g.model, g.source = perf_counter(), "", ""

    def count(self, response: Response) -> Response:
        """Count the request."""
        method = request.method if request.method in _METHODS else "other"
        key = g.model, method, g.source, response.status_code
        self.metrics_store.observe(key, perf_counter() - g.started)
        return response

    def get(self, model: str, version: str | None = None, label: str | None = None) -> Response:
        """Answer one row, given in the query."""
        served = self._served(model, version, label)
        renderer = served.renderer
        row = parse_query(request.query_string.decode("latin-1"))
        answer = served.predictor.lookup(row)
        if answer is None:  # a miss: the tag is known once the row is known to be valid
            inputs = served.predictor.space.encode_row(row)
        source = Source.MODEL if answer is None else answer.source
        wanted = request.headers.get("If-None-Match")
        if wanted is not None and etag_matches(wanted, renderer.etags[source]):
            g.source = source.text
            return Response(status=304, headers=renderer.not_modified_headers(source))
        if answer is None:
            answer = Answer(tuple(served.predictor.infer(inputs)[0].tolist()), source)
        g.source = source.text
        body = renderer.row(answer)
        return Response(body, 200, renderer.row_headers(source, body))

    def post(self, model: str, version: str | None = None, label: str | None = None) -> Response:
        """Answer the rows of a TensorFlow Serving body."""
        served = self._served(model, version, label)
        if not (request.mimetype in _JSON_TYPES or request.mimetype.endswith("+json")):
            message = f"Content-Type must be application/json; got {request.mimetype[:80]!r}"
            raise _UnsupportedBody(message, cause="bad_body")
        if request.headers.get("Content-Encoding", "identity") != "identity":
            message = "Content-Encoding must be identity: bodies are read as they are"
            raise _UnsupportedBody(message, cause="bad_body")
        data = _body(self._config.max_body_bytes)
        try:
            body = parse_body(data, served.predictor.space, max_rows=self._config.max_rows)
            answers = _answers(served, body.rows)
        except RecursionError as error:
            message = "the body must not nest so deep"
            raise InvalidInput(message, cause="bad_body") from error
        if answers.faults:
            row = min(answers.faults)
            message = f"row {row}: {answers.faults[row]}"
            raise InvalidInput(message, feature=answers.faults[row].feature) from answers.faults[row]
        self._count_rows(answers)
        renderer = served.renderer
        rendered = renderer.outputs(answers.values) if body.columnar else renderer.predictions(answers.values)
        return Response(rendered, 200, renderer.batch_headers(answers, rendered))

    def status(self, model: str, version: str | None = None, label: str | None = None) -> Response:
        """Say which release is served."""
        return _json(description.status(self._served(model, version, label)))

    def metadata(self, model: str, version: str | None = None, label: str | None = None) -> Response:
        """Describe inputs and outputs."""
        return _json(description.metadata(self._served(model, version, label), label=self._config.label))

    def livez(self) -> Response:
        """Say that requests are answered at all."""
        return _json({"live": True})

    def readyz(self) -> Response:
        """Say what is served: the server listens only after every model has answered a row."""
        return _json(description.readiness(self._holder))

    def metrics(self) -> Response:
        """Return all metrics."""
        body = exposition(self.metrics_store, self._holder)
        return Response(body, 200, [("Content-Type", CONTENT_TYPE_LATEST), NO_STORE])

    def page(self) -> Response:
        """Return the page that lets a person try the models."""
        nonce = secrets.token_urlsafe(16)
        text = render_template("page.html", served=self._holder.current, label=self._config.label, nonce=nonce)
        policy = f"default-src 'none'; connect-src 'self'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'"
        headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Security-Policy", policy), NO_STORE]
        return Response(text, 200, headers)

    def fail(self, error: Exception) -> Response:
        """Turn any error into a status and ``{"error": …}``."""
        code, message = _failure(error)
        headers: Headers = [JSON, NO_STORE]
        if code == 503:
            headers.append(("Retry-After", "1"))
        if isinstance(error, HTTPException):
            headers += [(name, value) for name, value in error.get_headers() if name == "Allow"]
        return Response(to_json({"error": message}), code, headers)

    def _served(self, model: str, version: str | None, label: str | None) -> Served:
        served = self._holder.get(model)
        g.model = model
        if version is not None and version != str(served.release):
            message = f"version of {model!r} must be {served.release}, the release that is served; got {version[:80]!r}"
            raise NotFound(message)
        if label is not None and label != self._config.label:
            message = f"label of {model!r} must be {self._config.label!r}, the one that is followed; got {label[:80]!r}"
            raise NotFound(message)
        return served

    def _count_rows(self, answers: Answers) -> None:
        counts = answers.rows_by_source()
        g.source = next(iter(counts)).text if len(counts) == 1 else "mixed"
        for source, rows in counts.items():
            self.metrics_store.count_rows(g.model, source, rows)


def _answers(served: Served, rows: list[dict[str, object]]) -> Answers:
    if len(rows) > 1:
        return served.predictor.predict_rows(rows)
    try:
        answer = served.predictor.predict_row(rows[0])
    except InvalidInput as error:
        return Answers(np.zeros((1, served.predictor.schema.width), np.float32), np.zeros(1, np.uint8), {0: error})
    return Answers(np.array([answer.values], np.float32), np.array([answer.source], np.uint8))


def _body(limit: int) -> bytes:
    """Read the body; Werkzeug's own limit cuts a chunked one instead of refusing it."""
    length = request.content_length
    if length is not None and length > limit:  # before a byte of it is read
        raise RequestEntityTooLarge
    wanted = limit + 1 if length is None else length
    parts = []
    while wanted and (part := request.environ["wsgi.input"].read(wanted)):
        parts.append(part)
        wanted -= len(part)
    if length is None and not wanted:
        raise RequestEntityTooLarge
    if length is not None and wanted:
        message = f"the body must have the {length} bytes that Content-Length says; got {length - wanted}"
        raise InvalidInput(message, cause="bad_body")
    return b"".join(parts)


def _failure(error: Exception) -> tuple[int, str]:
    """Return the status code, and what the client is told."""
    if isinstance(error, HTTPException):
        code = error.code or 500
        return code, _HTTP_TEXTS.get(code) or f"{error.name}: {error.description}"
    for kind, code in _CODES.items():
        if isinstance(error, kind):
            return code, str(error)
    _log.error("%s %s", request.method, request.path, exc_info=error)
    told = str(error) if isinstance(error, ForetableError) and not isinstance(error, BadSettings) else ""
    return 500, told or "internal error; see the server's log"


# What may become the value of a label: anybody can send a method of his own.
_METHODS = {"GET", "HEAD", "POST"}
_CODES: dict[type[ForetableError], int] = {
    _UnsupportedBody: 415,
    TooManyRows: 413,
    InvalidInput: 400,
    NotFound: 404,
    Unavailable: 503,
}
_HTTP_TEXTS = {
    404: "path must be /v1/models/NAME:predict or another of the documented ones; got one that does not exist",
    413: "the body must be smaller; got more bytes than --max-body-bytes allows. Send several requests",
}


def _json(value: object) -> Response:
    return Response(to_json(value), 200, [JSON, NO_STORE])
