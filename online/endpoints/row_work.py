"""What is left to do for one row that the model must answer."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple

from engine.answer import Answer, Source
from engine.errors import DeadlineExceeded, InvalidInput
from engine.inputs import Inputs
from online.exchange import Exchange
from online.http.reply import Reply
from online.served import Served

Render = Callable[[Answer], Reply]


class RowWork(NamedTuple):
    """One row, encoded, and what becomes of its answer.

    Attributes:
        served: whose model is asked.
        exchange: the request.
        inputs: the row.
        deadline: the request's, an instant in ``time.time`` seconds; None for ever.
        in_body: whether it is the row of a body, whose rows are counted and named in errors.
        render: makes the reply.
    """

    served: Served
    exchange: Exchange
    inputs: Inputs
    deadline: float | None
    in_body: bool
    render: Render

    def answer(self) -> Reply:
        """Ask the model for this row alone. May block; any thread may call it, once.

        Raises:
            InvalidInput: the model's answer is not finite.
            DeadlineExceeded: the deadline has passed, and the model's outputs declare no defaults.
        """
        predictor, source, started = self.served.predictor, Source.MODEL, perf_counter()
        try:
            values = predictor.infer(self.inputs, deadline=self.deadline)
        except InvalidInput as error:
            if self.in_body:
                raise fault_of(0, error) from error
            raise
        except DeadlineExceeded:
            if predictor.default is None:
                raise
            values, source = predictor.default, Source.DEFAULT
        return self.answered(Answer(tuple(values[0].tolist()), source), perf_counter() - started)

    def answered(self, answer: Answer, compute_s: float) -> Reply:
        """Return the reply with an answer that took the predictor so long."""
        exchange = self.exchange
        exchange.source, exchange.compute_s = answer.source.text, compute_s
        if self.in_body:
            exchange.rows = {answer.source: 1}
        return self.render(answer)


def fault_of(row: int, error: InvalidInput) -> InvalidInput:
    """Return the fault of a body's row as that of the request."""
    return InvalidInput(f"row {row}: {error}", cause=error.cause, feature=error.feature)
