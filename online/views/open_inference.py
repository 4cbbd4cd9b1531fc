"""The Open Inference Protocol V2: inference, metadata and health."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from time import time

from flask import Flask, Response, request

from engine.answer import Answers
from engine.predictor import Predictor
from online.body import UnsupportedBody, read_body
from online.holder import Served
from online.open_inference.metadata import model_metadata, server_metadata
from online.open_inference.request import HEADER_LENGTH, InferRequest, parse_request
from online.open_inference.response import render
from online.responses import JSON, json_response
from online.serving import Serving
from online.views import answering
from online.views.places import served_at

_PLACES = {"": "/v2/models/<part:model>", "version": "/v2/models/<part:model>/versions/<part:version>"}
# What a request may say that it is: clients say it is JSON, or bytes, or nothing, whatever they send.
_TYPES = {"", "application/json", "application/octet-stream", "text/plain", "application/x-www-form-urlencoded"}


def mount(app: Flask, serving: Serving) -> None:
    """Add the routes."""
    holder = serving.holder

    def infer(model: str, version: str | None = None) -> Response:
        served = served_at(holder, model, version, None)
        if request.mimetype not in _TYPES:
            message = f"Content-Type must be one of {', '.join(sorted(_TYPES - {''}))}; got {request.mimetype[:80]!r}"
            raise UnsupportedBody(message, cause="bad_body")
        with serving.admission:
            return _infer(serving, served)

    def metadata(model: str, version: str | None = None) -> Response:
        served = served_at(holder, model, version, None)
        return json_response(model_metadata(served, sorted({each.release for each in holder.of(model)})))

    def model_ready(model: str, version: str | None = None) -> Response:
        return json_response({"name": served_at(holder, model, version, None).model, "ready": True})

    def server() -> Response:
        return json_response(server_metadata(installed_version("foretable")))

    def live() -> Response:
        return json_response({"live": True})

    def ready() -> Response:
        """Say so: the server listens only after every model has answered a row."""
        return json_response({"ready": True})

    for name, place in _PLACES.items():
        app.add_url_rule(f"{place}/infer", f"v2 infer {name}", infer, methods=["POST"])
        app.add_url_rule(place, f"v2 metadata {name}", metadata, methods=["GET"])
        app.add_url_rule(f"{place}/ready", f"v2 ready {name}", model_ready, methods=["GET"])
    for path, view in (("/v2", server), ("/v2/", server), ("/v2/health/live", live), ("/v2/health/ready", ready)):
        app.add_url_rule(path, path, view, methods=["GET"])


def _infer(serving: Serving, served: Served) -> Response:
    config, predictor = serving.config, served.predictor
    body = read_body(config.max_body_bytes)
    asked = parse_request(
        body, request.headers.get(HEADER_LENGTH), predictor.space, predictor.schema, max_rows=config.max_rows
    )
    answers = _answers(serving, predictor, asked)
    answering.refuse_faults(answers)
    answering.count_rows(serving, answers)
    return _response(served, asked, answers)


def _answers(serving: Serving, predictor: Predictor, asked: InferRequest) -> Answers:
    table = asked.table
    if table.num_rows == 1 and asked.timeout_s is None:
        return answering.answer_row(serving, predictor, table.to_pylist()[0])
    return answering.answer(
        serving, predictor, table.num_rows, lambda until: predictor.predict(table, deadline=_earlier(until, asked))
    )


def _earlier(deadline: float | None, asked: InferRequest) -> float | None:
    """Return the deadline of the header or of the request's own timeout."""
    if asked.timeout_s is None:
        return deadline
    own = time() + asked.timeout_s
    return own if deadline is None else min(deadline, own)


def _response(served: Served, asked: InferRequest, answers: Answers) -> Response:
    rendered, json_bytes = render(
        answers, served.predictor.schema, asked.outputs, model=served.model, release=served.release, id=asked.id
    )
    if json_bytes is None:
        return Response(rendered, 200, served.renderer.batch_headers(answers, rendered, JSON))
    headers = served.renderer.batch_headers(answers, rendered, ("Content-Type", "application/octet-stream"))
    return Response(rendered, 200, [*headers, (HEADER_LENGTH, str(json_bytes))])
