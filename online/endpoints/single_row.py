"""``GET /v1/models/M:predict?feature=value&…``: one row, in a form that every cache between understands."""

from __future__ import annotations

from functools import partial

from engine.answer import Answer, Source
from online.endpoints.row_work import RowWork
from online.exchange import Exchange
from online.http.reply import Reply
from online.query import parse_query
from online.responses import etag_matches
from online.served import Served
from online.serving import Serving


def get(_serving: Serving, served: Served, exchange: Exchange) -> Reply | RowWork:
    """Answer the query's row from the table; on a miss the model's work is left to do."""
    predictor = served.predictor
    row = parse_query(exchange.request.query)
    answer = predictor.lookup(row)
    inputs = None if answer else predictor.space.encode_row(row)  # a tag is only for a row that is valid
    source = Source.TABLE if answer else Source.MODEL
    wanted = exchange.request.headers.get(b"if-none-match")
    if wanted is not None and etag_matches(wanted.decode("latin-1"), served.renderer.etags[source]):
        exchange.source = source.text
        return Reply(304, served.renderer.not_modified_headers(source))
    if inputs is not None:
        return RowWork(served, exchange, inputs, exchange.deadline, False, partial(_reply, served))
    assert answer is not None
    exchange.source = source.text
    return _reply(served, answer)


def _reply(served: Served, answer: Answer) -> Reply:
    body = served.renderer.row(answer)
    return Reply(200, served.renderer.row_headers(answer.source, body), body)
