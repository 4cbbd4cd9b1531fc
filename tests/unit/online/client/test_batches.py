"""Inputs, cut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.errors import InvalidInput
from online.client.batches import count_rows, cut

ROWS = [{"x": number} for number in range(7)]


def pieces(data: Any) -> list[list[Any]]:
    found = cut(data, 3)
    return [[row["x"] for row in (batch if isinstance(batch, list) else batch.to_pylist())] for batch in found]


WHOLE = [[0, 1, 2], [3, 4, 5], [6]]


@pytest.mark.parametrize(
    "data, wanted",
    [
        (ROWS, WHOLE),
        (tuple(ROWS), WHOLE),
        ({"x": list(range(7))}, WHOLE),
        ({"x": np.arange(7)}, WHOLE),
        (pa.table({"x": range(7)}), WHOLE),
        (pa.record_batch({"x": range(7)}), WHOLE),
        # Chunks are joined: a table of many small ones makes no small requests.
        (pa.concat_tables([pa.table({"x": [number]}) for number in range(7)]), WHOLE),
        ([ROWS[:2], ROWS[2:]], [[0, 1], [2, 3, 4], [5, 6]]),
        ([ROWS[0], pa.table({"x": [1]}), ROWS[2], ROWS[3]], [[0], [1], [2, 3]]),
        ([], []),
        (pa.table({"x": pa.array([], pa.int64())}), []),
        ({"x": ["1", 2]}, [["1", 2]]),
    ],
)
def test_cut(data: Any, wanted: list[list[Any]]) -> None:
    assert pieces(data) == wanted


def test_reads_only_as_far_as_it_must() -> None:
    read: list[int] = []

    def rows() -> Iterator[dict[str, int]]:
        for number in range(100):
            read.append(number)
            yield {"x": number}

    batches = cut(rows(), 3)
    next(batches)
    assert len(read) == 3


@pytest.mark.parametrize("data", ["text", b"bytes", 7, None, {"x": 1}, {"x": "text"}, {"x": [1], "y": []}])
def test_what_is_no_input(data: Any) -> None:
    with pytest.raises(InvalidInput, match="must be"):
        list(cut(data, 3))


@pytest.mark.parametrize(
    "data, rows",
    [
        (ROWS, 7),
        ({"x": [1, 2]}, 2),
        (pa.table({"x": [1, 2]}), 2),
        (iter(ROWS), None),
        ([ROWS], None),
        ([], 0),
        (7, None),
    ],
)
def test_count(data: Any, rows: int | None) -> None:
    assert count_rows(data) == rows
