from __future__ import annotations

from typing import NoReturn

import numpy as np

from engine.answer import Answers, Source
from engine.errors import InvalidInput

BAD = InvalidInput("bad")
ANSWERS = Answers(
    np.array([[0.0, 1.0], [2.0, 3.0], [np.nan, np.nan], [6.0, 7.0], [np.nan, np.nan]], np.float32),
    np.array([1, 2, 0, 3, 0], np.uint8),
    {2: BAD, 4: BAD},
)


class OnlyLookedUp(dict[int, InvalidInput]):
    """Faults that nobody may walk through."""

    def __iter__(self) -> NoReturn:
        raise AssertionError

    items = keys = values = __iter__


def test_part_has_its_own_faults_by_its_own_numbers() -> None:
    part = ANSWERS.part(1, 4)
    assert part.values.tolist()[0::2] == [[2.0, 3.0], [6.0, 7.0]]
    assert (part.source.tolist(), part.faults, len(part)) == ([2, 0, 3], {1: BAD}, 3)


def test_part_takes_no_longer_for_the_faults_of_others() -> None:
    answers = Answers(ANSWERS.values, ANSWERS.source, OnlyLookedUp(ANSWERS.faults))
    assert answers.part(3, 5).faults == {1: BAD}


def test_some_rows() -> None:
    taken = ANSWERS.take([3, 0])
    assert (taken.values.tolist(), taken.source.tolist(), taken.faults) == ([[6.0, 7.0], [0.0, 1.0]], [3, 1], {})
    assert len(ANSWERS.take([])) == 0


def test_rows_are_counted_by_source() -> None:
    assert ANSWERS.rows_by_source() == {Source.TABLE: 1, Source.MODEL: 1, Source.DEFAULT: 1}
