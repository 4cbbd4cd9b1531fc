"""A row as a query reads back to the same row."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from online.client.query import row_query
from online.query import parse_query


@pytest.mark.parametrize(
    "value, text",
    [
        ("São Paulo & 7=8", "São Paulo & 7=8"),
        ("", ""),
        (7, "7"),
        (7.0, "7"),
        (-0.0, "0"),
        (np.int64(7), "7"),
        (np.float32(0.5), "0.5"),
        (1e-7, "1e-07"),
        (True, "true"),
        (2.0**60, "1.152921504606847e+18"),
    ],
)
def test_values(value: Any, text: str) -> None:
    query = row_query({"a b": value})
    assert query is not None
    assert parse_query(query) == {"a b": text}


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), [1], {"a": 1}, b"x", Decimal(1), "x" * 5000])
def test_what_goes_by_post(value: Any) -> None:
    assert row_query({"a": value}) is None


def test_no_features() -> None:
    assert row_query({}) is None
