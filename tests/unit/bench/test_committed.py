from __future__ import annotations

import pytest

from bench.committed import Progress
from engine.errors import Unavailable


def test_rate_is_from_commit_to_commit() -> None:
    # Slow while it warms up: what it does from 2.0 s to 4.0 s counts, and not the pause at the end.
    progress = Progress([0.0, 1.0, 2.0, 3.0, 4.0], [10, 30, 100, 150, 300])
    assert progress.steady_rate(1.5) == 100


def test_rate_from_the_first_commit_where_nothing_warms_up() -> None:
    assert Progress([5.0, 6.0], [500, 700]).steady_rate(0.0) == 200


@pytest.mark.parametrize("times_s", [[0.0], [0.0, 1.0], [0.0, 1.0, 1.6]])
def test_no_two_commits_after_the_warming_up(times_s: list[float]) -> None:
    with pytest.raises(Unavailable, match="must commit twice"):
        Progress(times_s, list(range(len(times_s)))).steady_rate(1.5)
