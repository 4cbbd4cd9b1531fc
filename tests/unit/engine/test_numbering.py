"""Ordinals and digits, against a division written here."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadSettings
from engine.numbering import Numbering


def digits_of(ordinal: int, sizes: list[int]) -> list[int]:
    """The digits of one ordinal, the last one turning fastest."""
    digits = []
    for size in reversed(sizes):
        ordinal, digit = divmod(ordinal, size)
        digits.append(digit)
    return digits[::-1]


def column(digits: list[list[int]]) -> npt.NDArray[np.int32]:
    return np.array(digits, np.int32).T


SIZES = st.lists(st.integers(1, 50), min_size=1, max_size=5)


@given(SIZES, st.data())
def test_digits_of_a_range(sizes: list[int], data: st.DataObject) -> None:
    size = math.prod(sizes)
    start = data.draw(st.integers(0, size))
    stop = data.draw(st.integers(start, min(size, start + 200)))
    numbering = Numbering(sizes)
    digits = numbering.digits(start, stop)
    assert digits.dtype == np.int32
    assert digits.shape == (len(sizes), stop - start)
    assert digits.T.tolist() == [digits_of(ordinal, sizes) for ordinal in range(start, stop)]
    assert numbering.ordinals(digits).tolist() == list(range(start, stop))


@given(st.lists(st.integers(1, 2**20), min_size=1, max_size=3), st.data())
def test_any_ordinals_of_large_spaces(sizes: list[int], data: st.DataObject) -> None:
    numbering = Numbering(sizes)
    assert numbering.size == math.prod(sizes)
    ordinals = data.draw(st.lists(st.integers(0, numbering.size - 1), max_size=5))
    inputs = numbering.inputs(np.array(ordinals, np.int64))
    assert len(inputs) == len(ordinals)
    assert inputs.index.T.tolist() == [digits_of(ordinal, sizes) for ordinal in ordinals]
    found = numbering.ordinals(inputs.index)
    assert found.dtype == np.int64
    assert found.tolist() == ordinals


@pytest.mark.parametrize("start", [2**32 - 3, 2**32, 3 * 2**40 - 2, 5 * 2**60 // 7])
def test_past_32_bits(start: int) -> None:
    sizes = [2**20, 1, 2**20, 2**20 - 1]
    digits = Numbering(sizes).digits(start, start + 5)
    assert digits.T.tolist() == [digits_of(ordinal, sizes) for ordinal in range(start, start + 5)]
    assert Numbering(sizes).ordinals(digits).tolist() == list(range(start, start + 5))


def test_the_last_ordinal_of_the_largest_space() -> None:
    numbering = Numbering([2**31 - 1, 2**32 // 2, 2])
    last = numbering.size - 1
    assert numbering.ordinals(numbering.digits(last, last + 1)).tolist() == [last]


def test_strides_of_an_odometer() -> None:
    assert Numbering([2, 3, 4]).strides == (12, 4, 1)
    assert Numbering([2, 3, 4]).digits(0, 24).T.tolist()[13] == [1, 0, 1]


def test_a_digit_past_its_size_has_no_ordinal() -> None:
    digits = column([[0, 0], [1, 2], [1, 3], [2, 0], [2, 9]])
    assert Numbering([2, 3]).ordinals(digits).tolist() == [0, 5, -1, -1, -1]


def test_a_digit_past_the_end_of_the_largest_space_has_no_ordinal() -> None:
    numbering = Numbering([2**31 - 1, 2**31 - 1, 2])
    assert numbering.ordinals(column([[2**31 - 1, 2**31 - 1, 2]])).tolist() == [-1]


def test_no_rows() -> None:
    numbering = Numbering([2, 3])
    assert numbering.digits(6, 6).shape == (2, 0)
    assert numbering.ordinals(np.empty((2, 0), np.int32)).shape == (0,)
    assert numbering.inputs(np.empty(0, np.int64)).index.shape == (2, 0)


@pytest.mark.parametrize("start, stop", [(-1, 2), (0, 7), (4, 3), (7, 7)])
def test_a_range_outside_the_space_is_refused(start: int, stop: int) -> None:
    with pytest.raises(BadSettings, match="within 0 to 6"):
        Numbering([2, 3]).digits(start, stop)


def test_more_rows_than_int64_are_refused() -> None:
    assert Numbering([2**31, 2**31]).size == 2**62
    with pytest.raises(BadSettings, match=r"2\^63 - 1"):
        Numbering([2**31, 2**31, 2])
