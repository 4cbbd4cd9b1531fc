"""``GET /v1/models/M:predict?feature=value&…``: one row, in a form that every cache between understands."""

from __future__ import annotations

import numpy as np
from flask import Flask, Response, g, request

from engine.answer import Answer, Answers, Source
from engine.inputs import Inputs
from online.holder import Served
from online.query import parse_query
from online.responses import etag_matches
from online.serving import Serving
from online.views import answering
from online.views.places import PLACES, served_at


def mount(app: Flask, serving: Serving) -> None:
    """Add the routes."""

    def get(model: str, version: str | None = None, label: str | None = None) -> Response:
        served = served_at(serving.holder, model, version, label)
        renderer = served.renderer
        row = parse_query(request.query_string.decode("latin-1"))
        answer = served.predictor.lookup(row)
        if answer is None:  # a miss: the tag is known once the row is known to be valid
            inputs = served.predictor.space.encode_row(row)
        source = Source.MODEL if answer is None else answer.source
        g.source = source.text
        wanted = request.headers.get("If-None-Match")
        if wanted is not None and etag_matches(wanted, renderer.etags[source]):
            return Response(status=304, headers=renderer.not_modified_headers(source))
        if answer is None:
            answer = _from_model(serving, served, inputs)
        body = renderer.row(answer)
        return Response(body, 200, renderer.row_headers(answer.source, body))

    for name, place in PLACES.items():
        app.add_url_rule(f"{place}:predict", f"get {name}", get, methods=["GET"])


def _from_model(serving: Serving, served: Served, inputs: Inputs) -> Answer:
    predictor = served.predictor

    def ask(deadline: float | None) -> Answers:
        return Answers(predictor.infer(inputs, deadline=deadline), np.array([Source.MODEL], np.uint8))

    with serving.admission:
        answers = answering.answer(serving, predictor, 1, ask)
    return Answer(tuple(answers.values[0].tolist()), Source(answers.source[0]))
