"""``POST /v2/models/M/infer``: the Open Inference Protocol's inference."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from online.body import UnsupportedBody, body_of
from online.endpoints import answering
from online.endpoints.work import Work
from online.exchange import Exchange
from online.http.reply import Reply, header
from online.open_inference.request import HEADER_LENGTH, InferRequest, parse_request
from online.open_inference.response import Identity, render
from online.responses import JSON, counted
from online.served import Served
from online.serving import Serving

# What a request may say that it is: clients say it is JSON, or bytes, or nothing, whatever they send.
_TYPES = {"", "application/json", "application/octet-stream", "text/plain", "application/x-www-form-urlencoded"}
_OCTETS = header("Content-Type", "application/octet-stream")


def post(serving: Serving, served: Served, exchange: Exchange) -> Work:
    """Return the work of answering the request's tensors."""
    if exchange.content_type not in _TYPES:
        message = f"Content-Type must be one of {', '.join(sorted(_TYPES - {''}))}; got {exchange.content_type[:80]!r}"
        raise UnsupportedBody(message, cause="bad_body")
    return Work(partial(_infer, serving, served, exchange), served.quick)


def _infer(serving: Serving, served: Served, exchange: Exchange) -> Reply:
    predictor = served.predictor
    asked = parse_request(
        body_of(exchange),
        exchange.request.header(HEADER_LENGTH.lower().encode()),
        predictor.space,
        predictor.schema,
        max_rows=serving.config.max_rows,
    )
    exchange.timeout_s = asked.timeout_s
    if asked.rows == 1:
        answer = answering.answer_only_row(predictor, exchange, asked.row())
        return _reply(served, asked, np.array([answer.values], np.float32), answer.source.text)
    answers = answering.answer_rows(
        predictor, exchange, asked.rows, lambda until: predictor.predict(asked.table(), deadline=until)
    )
    answering.refuse_faults(answers)
    return _reply(served, asked, answers.values, counted(exchange.rows))


def _reply(served: Served, asked: InferRequest, values: npt.NDArray[np.float32], sources: str) -> Reply:
    identity = Identity(served.model, served.release, sources, asked.id)
    rendered, json_bytes = render(values, served.predictor.schema, asked.outputs, identity)
    if json_bytes is None:
        return Reply(200, served.renderer.batch_headers(sources, rendered, JSON), rendered)
    headers = served.renderer.batch_headers(sources, rendered, _OCTETS)
    return Reply(200, headers + header(HEADER_LENGTH, str(json_bytes)), rendered)
