"""``POST /v1/models/M:predict``: the rows of a body, as TensorFlow Serving's JSON or as an Arrow stream."""

from __future__ import annotations

from functools import partial

import numpy as np

from engine.answer import Answer
from engine.errors import InvalidInput
from engine.wire.arrow_columns import check_columns
from engine.wire.arrow_stream import parse_arrow, render_arrow
from engine.wire.media_types import ARROW_STREAM
from online.body import UnsupportedBody, body_of
from online.endpoints import answering
from online.endpoints.row_work import RowWork
from online.endpoints.work import Work
from online.exchange import Exchange
from online.http.reply import Reply, header
from online.predict_body import parse_body
from online.responses import counted
from online.served import Served
from online.serving import Serving

# A column's texts, of which rows may share one, against the largest body. Less would refuse honest dictionaries, more
# would let a body take a gigabyte.
_WRITTEN_OUT_TIMES = 8
_ARROW = header("Content-Type", ARROW_STREAM)
# What may carry JSON. curl -d says it is a form, and TensorFlow Serving never looks.
_JSON_TYPES = {"", "application/json", "text/json", "text/plain", "application/x-www-form-urlencoded"}


def post(serving: Serving, served: Served, exchange: Exchange) -> Work:
    """Return the work of answering the body's rows."""
    kind = exchange.content_type
    if kind == ARROW_STREAM:
        return Work(partial(_arrow, serving, served, exchange), served.quick)
    if kind in _JSON_TYPES or kind.endswith("+json"):
        return Work(partial(_json, serving, served, exchange), served.quick)
    message = f"Content-Type must be application/json or {ARROW_STREAM}; got {kind[:80]!r}"
    raise UnsupportedBody(message, cause="bad_body")


def _json(serving: Serving, served: Served, exchange: Exchange) -> Reply | RowWork:
    predictor, config = served.predictor, serving.config
    try:
        body = parse_body(body_of(exchange), predictor.space, max_rows=config.max_rows)
        rows = body.rows
        if len(rows) == 1:
            return answering.begin_row(served, exchange, rows[0], partial(_one_row, served, body.columnar))
        answers = answering.answer_rows(
            predictor, exchange, len(rows), lambda until: predictor.predict_rows(rows, deadline=until)
        )
    except RecursionError as error:
        message = "the body must not nest so deep"
        raise InvalidInput(message, cause="bad_body") from error
    answering.refuse_faults(answers)
    renderer = served.renderer
    rendered = renderer.outputs(answers.values) if body.columnar else renderer.predictions(answers.values)
    return Reply(200, renderer.batch_headers(counted(exchange.rows), rendered), rendered)


def _one_row(served: Served, columnar: bool, answer: Answer) -> Reply:
    renderer = served.renderer
    rendered = renderer.outputs(np.array([answer.values], np.float32)) if columnar else renderer.prediction(answer)
    return Reply(200, renderer.batch_headers(answer.source.text, rendered), rendered)


def _arrow(serving: Serving, served: Served, exchange: Exchange) -> Reply:
    """Answer a stream. A row at fault has its reason beside it: the others are answered all the same."""
    predictor, config = served.predictor, serving.config
    table = parse_arrow(body_of(exchange), max_rows=config.max_rows)
    check_columns(table, predictor.space.names, limit_bytes=_WRITTEN_OUT_TIMES * config.max_body_bytes)
    answers = answering.answer_rows(
        predictor, exchange, table.num_rows, lambda until: predictor.predict(table, deadline=until)
    )
    rendered = render_arrow(answers, predictor.schema, served.release)
    return Reply(200, served.renderer.batch_headers(counted(exchange.rows), rendered, _ARROW), rendered)
