"""What every protocol does to get answers: the deadline, the default where they would be late, the counting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter

import numpy as np
from flask import g

from engine.answer import Answers, Source
from engine.errors import DeadlineExceeded, InvalidInput
from engine.predictor import Predictor
from online.serving import Serving


def answer(serving: Serving, predictor: Predictor, rows: int, ask: Callable[[float | None], Answers]) -> Answers:
    """Return the answers to a request's rows.

    Args:
        serving: the server.
        predictor: of the request's release.
        rows: how many there are.
        ask: calls the predictor with the request's deadline.

    Raises:
        InvalidInput: the deadline cannot be read.
        DeadlineExceeded: it has passed, and the model's outputs declare no defaults.
    """
    deadline = g.exchange.deadline
    started = perf_counter()
    try:
        answers = ask(deadline)
    except DeadlineExceeded:
        if predictor.default is None:
            raise
        answers = predictor.defaults(rows)
    counts = answers.rows_by_source()
    g.source = "mixed" if len(counts) > 1 else next((source.text for source in counts), Source.NONE.text)
    serving.metrics.observe_compute((g.model, g.source), perf_counter() - started)
    return answers


def answer_row(serving: Serving, predictor: Predictor, row: Mapping[str, object]) -> Answers:
    """Return the answer to one row on the shortest path; a row at fault is a fault of the result."""

    def ask(deadline: float | None) -> Answers:
        try:
            found = predictor.predict_row(row, deadline=deadline)
        except InvalidInput as error:
            return Answers(np.full((1, predictor.schema.width), np.nan, np.float32), np.zeros(1, np.uint8), {0: error})
        return Answers(np.array([found.values], np.float32), np.array([found.source], np.uint8))

    return answer(serving, predictor, 1, ask)


def count_rows(serving: Serving, answers: Answers) -> None:
    """Count the rows of a body by source."""
    for source, rows in answers.rows_by_source().items():
        serving.metrics.count_rows(g.model, source, rows)


def refuse_faults(answers: Answers) -> None:
    """Raise ``InvalidInput`` for the first row at fault: for protocols whose bodies have no place for a fault."""
    if answers.faults:
        row = min(answers.faults)
        message = f"row {row}: {answers.faults[row]}"
        raise InvalidInput(message, feature=answers.faults[row].feature) from answers.faults[row]
