"""TensorFlow Serving's REST API: predict bodies, model status and metadata."""

from __future__ import annotations

import numpy as np
from flask import Flask, Response, request

from engine.answer import Answers
from engine.errors import InvalidInput
from online import description
from online.body import UnsupportedBody, read_body
from online.holder import Served
from online.predict_body import parse_body
from online.responses import json_response
from online.serving import Serving
from online.views import answered
from online.views.places import PLACES, served_at

# What may carry JSON. curl -d says it is a form, and TensorFlow Serving never looks.
_JSON_TYPES = {"", "application/json", "text/json", "text/plain", "application/x-www-form-urlencoded"}


def mount(app: Flask, serving: Serving) -> None:
    """Add the routes."""
    holder, config = serving.holder, serving.config

    def predict(model: str, version: str | None = None, label: str | None = None) -> Response:
        served = served_at(holder, model, version, label)
        if not (request.mimetype in _JSON_TYPES or request.mimetype.endswith("+json")):
            message = f"Content-Type must be application/json; got {request.mimetype[:80]!r}"
            raise UnsupportedBody(message, cause="bad_body")
        try:
            body = parse_body(read_body(config.max_body_bytes), served.predictor.space, max_rows=config.max_rows)
            answers = answered.take(_answers(served, body.rows), serving.metrics)
        except RecursionError as error:
            message = "the body must not nest so deep"
            raise InvalidInput(message, cause="bad_body") from error
        renderer = served.renderer
        rendered = renderer.outputs(answers.values) if body.columnar else renderer.predictions(answers.values)
        return Response(rendered, 200, renderer.batch_headers(answers, rendered))

    def status(model: str, version: str | None = None, label: str | None = None) -> Response:
        return json_response(description.status(served_at(holder, model, version, label)))

    def metadata(model: str, version: str | None = None, label: str | None = None) -> Response:
        return json_response(description.metadata(served_at(holder, model, version, label)))

    for name, place in PLACES.items():
        app.add_url_rule(f"{place}:predict", f"predict {name}", predict, methods=["POST"])
        app.add_url_rule(place, f"status {name}", status, methods=["GET"])
        app.add_url_rule(f"{place}/metadata", f"metadata {name}", metadata, methods=["GET"])


def _answers(served: Served, rows: list[dict[str, object]]) -> Answers:
    if len(rows) > 1:
        return served.predictor.predict_rows(rows)
    try:
        answer = served.predictor.predict_row(rows[0])
    except InvalidInput as error:
        return Answers(np.zeros((1, served.predictor.schema.width), np.float32), np.zeros(1, np.uint8), {0: error})
    return Answers(np.array([answer.values], np.float32), np.array([answer.source], np.uint8))
