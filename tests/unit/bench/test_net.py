"""The synthetic space of the benchmarks."""

from __future__ import annotations

import pytest

from bench.net import net_space
from engine.errors import BadSettings


@pytest.mark.parametrize("rows", [423_360, 10_000_000, 100_000_000])
def test_the_space_has_about_as_many_rows_as_asked(rows: int) -> None:
    assert net_space(rows).size == pytest.approx(rows, rel=0.03)


def test_more_rows_than_the_embedding_has_are_refused() -> None:
    with pytest.raises(BadSettings, match="must be at most"):
        net_space(10_000_000_000)
