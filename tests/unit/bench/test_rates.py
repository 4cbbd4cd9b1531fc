from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.rates import interleaved, ratio
from engine.errors import BadSettings


def test_each_round_begins_with_another() -> None:
    asked: list[str] = []

    def action(name: str) -> Callable[[], float]:
        def run() -> float:
            asked.append(name)
            return float(len(asked))

        return run

    rates = interleaved({name: action(name) for name in "abc"}, repeats=3)
    assert "".join(asked) == "abcbcacab"
    assert rates == {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]}


def test_no_round() -> None:
    with pytest.raises(BadSettings, match="repeats must be 1 or more; got 0"):
        interleaved({"a": lambda: 1.0}, repeats=0)


def test_ratio_is_of_rounds() -> None:
    # The ratio of medians would be 20 / 10.
    assert ratio([10, 20, 90], [10, 100, 9]) == 1
