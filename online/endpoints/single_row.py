"""``GET /v1/models/M:predict?feature=value&…``: one row, in a form that every cache between understands."""

from __future__ import annotations

from engine.answer import Answer, Source
from engine.inputs import Inputs
from online.endpoints import answering
from online.exchange import Exchange
from online.holder import Served
from online.query import parse_query
from online.reply import Reply
from online.responses import etag_matches
from online.serving import Serving


def get(serving: Serving, served: Served, exchange: Exchange) -> Reply:
    """Answer the query's row."""
    predictor, renderer = served.predictor, served.renderer
    row = parse_query(exchange.environ["QUERY_STRING"])
    answer = predictor.lookup(row)
    inputs = None if answer else predictor.space.encode_row(row)  # a tag is only for a row that is valid
    source = answer.source if answer else Source.MODEL
    exchange.source = source.text
    wanted = exchange.header("IF_NONE_MATCH")
    if wanted is not None and etag_matches(wanted, renderer.etags[source]):
        return Reply(304, renderer.not_modified_headers(source))
    if inputs is not None:
        answer = _from_model(serving, served, exchange, inputs)
    assert answer is not None
    body = renderer.row(answer)
    return Reply(200, renderer.row_headers(answer.source, body), body)


def _from_model(serving: Serving, served: Served, exchange: Exchange, inputs: Inputs) -> Answer:
    predictor = served.predictor

    def ask(deadline: float | None) -> Answer:
        return Answer(tuple(predictor.infer(inputs, deadline=deadline)[0].tolist()), Source.MODEL)

    with serving.admission:
        return answering.answer_row(serving, predictor, exchange, ask)
