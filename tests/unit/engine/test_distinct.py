"""Distinct rows: told apart by their bytes, found wherever the repetitions lie."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from engine.distinct import distinct_rows
from engine.inputs import Inputs

ROWS = 3000


def numbers(values: npt.NDArray[np.float32]) -> Inputs:
    """Rows of one number feature."""
    return Inputs(np.empty((0, len(values)), np.int32), values[np.newaxis])


def mixed(rows: int) -> Inputs:
    """Rows that all differ, some by an index, some by a number, some by one value of a tensor."""
    index = np.stack([np.arange(rows) // 100, np.zeros(rows)]).astype(np.int32)
    number = (np.arange(rows) % 100 // 10).astype(np.float32)[np.newaxis]
    tensor = np.zeros((rows, 2, 3), np.float32)
    tensor[:, 1, 2] = np.arange(rows) % 10
    return Inputs(index, number, (tensor, np.ones((rows, 1), np.float32)))


def same(found: Inputs, wanted: Inputs) -> bool:
    return all(
        left.tobytes() == right.tobytes()
        for left, right in zip(
            (found.index, found.number, *found.tensors), (wanted.index, wanted.number, *wanted.tensors), strict=True
        )
    )


@pytest.mark.parametrize("order", ["beside each other", "one after all others", "shuffled", "few"])
def test_repetitions_are_found_wherever_they_lie(order: str) -> None:
    half = np.arange(ROWS // 2)
    rows = {
        "beside each other": np.repeat(half, 2),
        "one after all others": np.concatenate([half, half]),
        "shuffled": np.random.default_rng(1).permutation(np.concatenate([half, half])),
        "few": np.arange(ROWS) % 7,
    }[order]
    inputs = mixed(ROWS).take(rows)
    found = distinct_rows(inputs)
    assert found is not None
    assert len(found.inputs) == len(set(rows.tolist()))
    assert same(found.inputs, mixed(ROWS).take(np.array(list(dict.fromkeys(rows.tolist())))))
    assert same(found.inputs.take(found.places), inputs)


def test_rows_that_all_differ_are_left_alone() -> None:
    assert distinct_rows(mixed(ROWS)) is None


def test_rows_are_equal_when_their_bytes_are() -> None:
    kinds = np.array([0x00000000, 0x80000000, 0x7FC00000, 0x7FC00001], np.uint32)  # 0.0, -0.0, two NaNs
    found = distinct_rows(numbers(np.tile(kinds, ROWS // 4).view(np.float32)))
    assert found is not None
    assert found.inputs.number.tobytes() == kinds.tobytes()
    assert found.places.tolist() == [0, 1, 2, 3] * (ROWS // 4)


def test_hashes_that_meet_make_no_rows_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.distinct._WEIGHTS", np.zeros(1024, np.uint64))
    inputs = mixed(ROWS).take(np.arange(ROWS) // 500 * 10)
    found = distinct_rows(inputs)
    assert found is not None
    assert same(found.inputs.take(found.places), inputs)


def test_what_one_call_answers_is_not_looked_at() -> None:
    assert distinct_rows(mixed(1024).take(np.zeros(1024, np.int64))) is None


def test_large_rows_are_not_compared() -> None:
    rows = 1100
    images = np.zeros((rows, 19, 19, 3), np.float32)
    assert distinct_rows(Inputs(np.empty((0, rows), np.int32), np.empty((0, rows), np.float32), (images,))) is None


def test_columns_that_are_not_contiguous_are_read_as_they_are() -> None:
    inputs = mixed(2 * ROWS)
    every_other = inputs.take(slice(None, None, 2))
    pairs = every_other.take(np.repeat(np.arange(ROWS // 2), 2))
    strided = Inputs(
        np.repeat(pairs.index, 2, axis=1)[:, ::2],
        np.repeat(pairs.number, 2, axis=1)[:, ::2],
        tuple(np.repeat(tensor, 2, axis=0)[::2] for tensor in pairs.tensors),
    )
    found = distinct_rows(strided)
    assert found is not None
    assert len(found.inputs) == ROWS // 2
