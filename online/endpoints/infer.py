"""``POST /v2/models/M/infer``: the Open Inference Protocol's inference."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from engine.answer import Answer
from online.body import UnsupportedBody, body_of
from online.endpoints import answering
from online.endpoints.row_work import RowWork
from online.endpoints.work import Work
from online.exchange import Exchange
from online.http.reply import Reply, header
from online.open_inference.plain_row import parse_plain_row
from online.open_inference.request import HEADER_LENGTH, InferRequest, parse_request
from online.responses import JSON, counted
from online.served import Served
from online.serving import Serving

# What a request may say that it is: clients say it is JSON, or bytes, or nothing, whatever they send.
_TYPES = {"", "application/json", "application/octet-stream", "text/plain", "application/x-www-form-urlencoded"}
_LENGTH_FIELD = HEADER_LENGTH.lower().encode()
_OCTETS = header("Content-Type", "application/octet-stream")


def post(serving: Serving, served: Served, exchange: Exchange) -> Work:
    """Return the work of answering the request's tensors."""
    if exchange.content_type not in _TYPES:
        message = f"Content-Type must be one of {', '.join(sorted(_TYPES - {''}))}; got {exchange.content_type[:80]!r}"
        raise UnsupportedBody(message, cause="bad_body")
    return Work(partial(_infer, serving, served, exchange), served.quick)


def _infer(serving: Serving, served: Served, exchange: Exchange) -> Reply | RowWork:
    predictor, body = served.predictor, body_of(exchange)
    length = exchange.request.header(_LENGTH_FIELD)
    space = predictor.space
    plain = parse_plain_row(body, space.names) if length is None and not space.tensor_features else None
    if plain is not None:
        return answering.begin_row(served, exchange, plain.row, partial(_plain_reply, served, plain.id))
    asked = parse_request(body, length, space, predictor.schema, max_rows=serving.config.max_rows)
    exchange.timeout_s = asked.timeout_s
    if asked.rows == 1:
        return answering.begin_row(served, exchange, asked.row(), partial(_row_reply, served, asked))
    answers = answering.answer_rows(
        predictor, exchange, asked.rows, lambda until: predictor.predict(asked.table(), deadline=until)
    )
    answering.refuse_faults(answers)
    return _reply(served, asked, answers.values, counted(exchange.rows))


def _plain_reply(served: Served, identifier: str | None, answer: Answer) -> Reply:
    rendered = served.infer_renderer.row(answer, identifier)
    return Reply(200, served.renderer.batch_headers(answer.source.text, rendered), rendered)


def _row_reply(served: Served, asked: InferRequest, answer: Answer) -> Reply:
    return _reply(served, asked, np.array([answer.values], np.float32), answer.source.text)


def _reply(served: Served, asked: InferRequest, values: npt.NDArray[np.float32], sources: str) -> Reply:
    rendered, json_bytes = served.infer_renderer.render(values, asked.outputs, sources, asked.id)
    if json_bytes is None:
        return Reply(200, served.renderer.batch_headers(sources, rendered, JSON), rendered)
    headers = served.renderer.batch_headers(sources, rendered, _OCTETS)
    return Reply(200, headers + header(HEADER_LENGTH, str(json_bytes)), rendered)
