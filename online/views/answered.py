"""What every protocol does with the answers to a body."""

from __future__ import annotations

from flask import g

from engine.answer import Answers
from engine.errors import InvalidInput
from online.metrics import Metrics


def take(answers: Answers, metrics: Metrics) -> Answers:
    """Count the rows by source, and return the answers.

    Raises:
        InvalidInput: a row is at fault; of several, the first.
    """
    if answers.faults:
        row = min(answers.faults)
        message = f"row {row}: {answers.faults[row]}"
        raise InvalidInput(message, feature=answers.faults[row].feature) from answers.faults[row]
    counts = answers.rows_by_source()
    g.source = next(iter(counts)).text if len(counts) == 1 else "mixed"
    for source, rows in counts.items():
        metrics.count_rows(g.model, source, rows)
    return answers
