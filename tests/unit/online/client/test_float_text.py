"""float32 through the shortest text and back."""

from __future__ import annotations

import numpy as np
import orjson
import pytest

from online.client.float_text import to_float32


def round_trip(bits: np.ndarray[tuple[int], np.dtype[np.uint32]]) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    text = orjson.dumps(bits.view(np.float32), option=orjson.OPT_SERIALIZE_NUMPY)
    return to_float32(orjson.loads(text)).view(np.uint32)


@pytest.mark.parametrize("bits", [0x15AE43FC, 0x15AE43FD, 0x15AE43FE, 0x95AE43FD, 0, 0x80000000, 1, 0x7F7FFFFF])
def test_bits_come_back(bits: int) -> None:
    given = np.array([bits], np.uint32)
    assert round_trip(given).tolist() == given.tolist()


def test_the_one_text_that_two_roundings_change() -> None:
    given = np.array([0x15AE43FD], np.uint32).view(np.float32)
    (number,) = orjson.loads(orjson.dumps(given, option=orjson.OPT_SERIALIZE_NUMPY))
    assert np.float32(number).view(np.uint32) == 0x15AE43FE


def test_a_sample_of_all_numbers() -> None:
    finite = np.random.default_rng(7).integers(0, 0x7F800000, 200_000).astype(np.uint32)
    assert np.array_equal(round_trip(finite), finite)


def test_shapes_and_nulls() -> None:
    assert to_float32([[1.0, None], [2.0, 3.0]]).shape == (2, 2)
    assert np.isnan(to_float32([None, 1.0])).tolist() == [True, False]
    assert to_float32(7.038531e-26).view(np.uint32) == 0x15AE43FD
