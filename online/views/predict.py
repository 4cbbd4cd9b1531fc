"""``POST /v1/models/M:predict``: the rows of a body, as TensorFlow Serving's JSON or as an Arrow stream."""

from __future__ import annotations

from flask import Flask, Response, request

from engine.answer import Answers
from engine.errors import InvalidInput
from online.arrow_body import ARROW_STREAM, parse_arrow, render_arrow
from online.arrow_columns import check_columns
from online.body import UnsupportedBody, read_body
from online.holder import Served
from online.predict_body import parse_body
from online.responses import JSON
from online.serving import Serving
from online.views import answering
from online.views.places import PLACES, served_at

# A column's texts, of which rows may share one, against the largest body. Less would refuse honest dictionaries, more
# would let a body take a gigabyte.
_WRITTEN_OUT_TIMES = 8
# What may carry JSON. curl -d says it is a form, and TensorFlow Serving never looks.
_JSON_TYPES = {"", "application/json", "text/json", "text/plain", "application/x-www-form-urlencoded"}


def mount(app: Flask, serving: Serving) -> None:
    """Add the routes."""

    def predict(model: str, version: str | None = None, label: str | None = None) -> Response:
        served = served_at(serving.holder, model, version, label)
        with serving.admission:
            if request.mimetype == ARROW_STREAM:
                return _arrow(serving, served)
            if request.mimetype in _JSON_TYPES or request.mimetype.endswith("+json"):
                return _json(serving, served)
        message = f"Content-Type must be application/json or {ARROW_STREAM}; got {request.mimetype[:80]!r}"
        raise UnsupportedBody(message, cause="bad_body")

    for name, place in PLACES.items():
        app.add_url_rule(f"{place}:predict", f"predict {name}", predict, methods=["POST"])


def _json(serving: Serving, served: Served) -> Response:
    config, predictor, renderer = serving.config, served.predictor, served.renderer
    try:
        body = parse_body(read_body(config.max_body_bytes), predictor.space, max_rows=config.max_rows)
        rows = body.rows
        if len(rows) == 1:
            answers = answering.answer_row(serving, predictor, rows[0])
        else:
            answers = answering.answer(
                serving, predictor, len(rows), lambda until: predictor.predict_rows(rows, deadline=until)
            )
    except RecursionError as error:
        message = "the body must not nest so deep"
        raise InvalidInput(message, cause="bad_body") from error
    answering.refuse_faults(answers)
    rendered = renderer.outputs(answers.values) if body.columnar else renderer.predictions(answers.values)
    return _response(serving, served, answers, rendered, JSON)


def _arrow(serving: Serving, served: Served) -> Response:
    """Answer a stream. A row at fault has its reason beside it: the others are answered all the same."""
    predictor, config = served.predictor, serving.config
    table = parse_arrow(read_body(config.max_body_bytes), max_rows=config.max_rows)
    check_columns(table, predictor.space.names, limit_bytes=_WRITTEN_OUT_TIMES * config.max_body_bytes)
    answers = answering.answer(
        serving, predictor, table.num_rows, lambda until: predictor.predict(table, deadline=until)
    )
    rendered = render_arrow(answers, predictor.schema, served.release)
    return _response(serving, served, answers, rendered, ("Content-Type", ARROW_STREAM))


def _response(serving: Serving, served: Served, answers: Answers, rendered: bytes, kind: tuple[str, str]) -> Response:
    answering.count_rows(serving, answers)
    return Response(rendered, 200, served.renderer.batch_headers(answers, rendered, kind))
