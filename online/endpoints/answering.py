"""What every endpoint does to get answers: the deadline, the default where they would be late, the counting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter

from engine.answer import Answers, Source
from engine.errors import DeadlineExceeded, InvalidInput
from engine.predictor import Predictor
from online.endpoints.row_work import Render, RowWork, fault_of
from online.exchange import Exchange
from online.http.reply import Reply
from online.served import Served

# Calls the predictor with the request's deadline.
AskRows = Callable[[float | None], Answers]


def begin_row(served: Served, exchange: Exchange, row: Mapping[str, object], render: Render) -> Reply | RowWork:
    """Answer the only row of a body from the table; on a miss the model's work is left to do.

    Raises:
        InvalidInput: the row is at fault, or the deadline cannot be read.
    """
    predictor, deadline, started = served.predictor, exchange.deadline, perf_counter()
    try:
        answer = predictor.lookup(row)
        if answer is None:
            return RowWork(served, exchange, predictor.space.encode_row(row), deadline, True, render)
    except InvalidInput as error:
        raise fault_of(0, error) from error
    exchange.source, exchange.compute_s = answer.source.text, perf_counter() - started
    exchange.rows = {answer.source: 1}
    return render(answer)


def answer_rows(predictor: Predictor, exchange: Exchange, rows: int, ask: AskRows) -> Answers:
    """Return the answers to the rows of a body, counted by source; rows at fault are faults of the result.

    Raises:
        InvalidInput: the deadline cannot be read.
        DeadlineExceeded: the deadline has passed, and the model's outputs declare no defaults.
    """
    deadline, started = exchange.deadline, perf_counter()
    try:
        answers = ask(deadline)
    except DeadlineExceeded:
        if predictor.default is None:
            raise
        answers = predictor.defaults(rows)
    counts = answers.rows_by_source()
    exchange.source = "mixed" if len(counts) > 1 else next((source.text for source in counts), Source.NONE.text)
    exchange.rows, exchange.compute_s = counts, perf_counter() - started
    return answers


def refuse_faults(answers: Answers) -> None:
    """Raise ``InvalidInput`` for the first row at fault: for protocols whose bodies have no place for a fault."""
    if answers.faults:
        row = min(answers.faults)
        raise fault_of(row, answers.faults[row]) from answers.faults[row]
