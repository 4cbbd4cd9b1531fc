"""What every endpoint does to get answers: the deadline, the default where they would be late, the counting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter

from engine.answer import Answer, Answers, Source
from engine.errors import DeadlineExceeded, InvalidInput
from engine.predictor import Predictor
from online.exchange import Exchange

# Calls the predictor with the request's deadline.
AskRow = Callable[[float | None], Answer]
AskRows = Callable[[float | None], Answers]


def answer_row(predictor: Predictor, exchange: Exchange, ask: AskRow) -> Answer:
    """Return the answer to one row.

    Raises:
        InvalidInput: the row is at fault, or the deadline cannot be read.
        DeadlineExceeded: the deadline has passed, and the model's outputs declare no defaults.
    """
    deadline, started = exchange.deadline, perf_counter()
    try:
        answer = ask(deadline)
    except DeadlineExceeded:
        if predictor.default is None:
            raise
        answer = Answer(tuple(predictor.default[0].tolist()), Source.DEFAULT)
    exchange.source, exchange.compute_s = answer.source.text, perf_counter() - started
    return answer


def answer_only_row(predictor: Predictor, exchange: Exchange, row: Mapping[str, object]) -> Answer:
    """Return the answer to the only row of a body, by the shortest path; raise as ``answer_row``."""

    def ask(deadline: float | None) -> Answer:
        try:
            return predictor.predict_row(row, deadline=deadline)
        except InvalidInput as error:
            raise fault_of(0, error) from error

    answer = answer_row(predictor, exchange, ask)
    exchange.rows = {answer.source: 1}
    return answer


def answer_rows(predictor: Predictor, exchange: Exchange, rows: int, ask: AskRows) -> Answers:
    """Return the answers to the rows of a body, counted by source; rows at fault are faults of the result.

    Raises:
        InvalidInput: the deadline cannot be read.
        DeadlineExceeded: as ``answer_row``.
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


def fault_of(row: int, error: InvalidInput) -> InvalidInput:
    """Return a row's fault as that of the request."""
    return InvalidInput(f"row {row}: {error}", cause=error.cause, feature=error.feature)
