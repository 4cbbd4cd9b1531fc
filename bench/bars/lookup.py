"""How fast a table in process answers raw texts, in bulk and one row at a time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from bench.harness import Result
from bench.random_rows import random_rows
from bench.timing import median_seconds
from engine.answer import Source
from engine.errors import EngineBug
from engine.predictor import Predictor

_SINGLE_ROWS = 20_000


def measure(command: str, *, registry: str, model: str, rows: int, repeats: int) -> list[Result]:
    """Answer random rows, all of them in the table."""
    predictor = Predictor.open(registry, model)
    drawn = random_rows(predictor.space, rows)
    texts = pa.table({name: drawn.table[name].cast(pa.string()) for name in predictor.space.names})
    if not np.all(predictor.predict(texts).source == Source.TABLE):
        message = "every row must be answered by the table; got others. Is a block corrupt?"
        raise EngineBug(message)
    bulk_s = median_seconds(lambda: predictor.predict(texts), repeats=repeats)
    singles = texts.slice(0, _SINGLE_ROWS).to_pylist()

    def one_at_a_time() -> None:
        predict_row = predictor.predict_row
        for row in singles:
            predict_row(row)

    single_s = median_seconds(one_at_a_time, repeats=repeats) / len(singles)
    return [
        Result(
            bar="table in process, bulk from Arrow texts",
            value=rows / bulk_s,
            unit="rows/s",
            goal=6e6,
            better="higher",
            command=command,
        ),
        Result(
            bar="table in process, one row of texts at a time",
            value=single_s * 1e6,
            unit="µs",
            goal=3,
            better="lower",
            command=command,
        ),
    ]
