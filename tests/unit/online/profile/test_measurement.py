"""Measuring: what is asked how often, and what is left out, with times that a script gives."""

from __future__ import annotations

from collections import Counter

import pytest

from engine.errors import BadSettings, InvalidInput
from online.profile.connection import Reply
from online.profile.measurement import Point, measure, round_of, rows_by_source


class Script:
    """Answers bodies that are numbers: each row takes a millisecond."""

    def __init__(self, *, source: str = "table", most_rows: int = 10**6, inside: bool = True) -> None:
        self.asked: list[int] = []
        self._source, self._most_rows, self._inside = source, most_rows, inside

    def ask(self, body: bytes) -> Reply:
        rows = int(body)
        self.asked.append(rows)
        status = 200 if rows <= self._most_rows else 413
        return Reply(status, rows / 1e3, rows / 2e3 if self._inside else None, self._source, "7", b"")


def bodies_of(rows: int) -> list[bytes]:
    return [str(rows).encode()]


def test_every_size_is_asked_in_every_round_in_random_order() -> None:
    script = Script()
    found = measure(script.ask, bodies_of, [100, 1, 10], seconds=1e-9)  # five rounds then are left of three sizes
    assert [point.rows for point in found.points] == [1, 10, 100]
    assert script.asked[:6] == [1, 1, 10, 10, 100, 100]
    assert {point.rows: len(point.seconds) for point in found.points} == {1: 50, 10: 15, 100: 5}
    rounds = [script.asked[6 + place : 20 + place] for place in range(0, 70, 14)]
    assert all(Counter(asked) == {1: 10, 10: 3, 100: 1} for asked in rounds)
    assert any(asked != rounds[0] for asked in rounds[1:])
    assert found.points[1].median_s == 0.01
    assert found.points[1].inside_median_s == 0.005
    assert found.releases == ["7"]
    assert found.sources == {"table": 50 * 1 + 15 * 10 + 5 * 100}


def test_answers_without_timing_have_no_inside() -> None:
    found = measure(Script(inside=False).ask, bodies_of, [1, 2, 3], seconds=1e-9)
    assert [point.inside_median_s for point in found.points] == [None] * 3


def test_sizes_that_the_server_refuses_are_left_out() -> None:
    script = Script(most_rows=50)
    found = measure(script.ask, bodies_of, [1, 2, 5, 100, 1000], seconds=1e-9)
    assert [point.rows for point in found.points] == [1, 2, 5]
    assert set(found.left_out) == {100, 1000}
    assert "takes no body" in found.left_out[100]
    assert 1000 not in script.asked


def test_sizes_that_would_take_too_long_are_left_out() -> None:
    found = measure(Script().ask, bodies_of, [1, 2, 5, 10, 1000], seconds=0.1)
    assert [point.rows for point in found.points] == [1, 2, 5, 10]
    assert "--seconds" in found.left_out[1000]


def test_bodies_that_cannot_be_made_are_left_out() -> None:
    found = measure(Script().ask, lambda rows: bodies_of(rows) if rows < 9 else [], [1, 2, 5, 10], seconds=1e-9)
    assert list(found.left_out) == [10]


def test_two_sizes_are_too_few() -> None:
    with pytest.raises(BadSettings, match=r"--batch-sizes must have 3 sizes or more that can be measured; got 2"):
        measure(Script(most_rows=50).ask, bodies_of, [1, 2, 100], seconds=1e-9)


def test_rows_without_an_answer_stop_it() -> None:
    with pytest.raises(InvalidInput, match=r"10 random rows must have 10 answers; got 4"):
        measure(Script(source="table=3, model=1").ask, bodies_of, [10, 20, 30], seconds=1e-9)


def test_time_that_passes_is_reported() -> None:
    seen: list[float] = []
    measure(Script().ask, bodies_of, [1, 2, 3], seconds=0.05, progress=seen.append)
    assert len(seen) >= 5
    assert sum(seen) >= 0.05


@pytest.mark.parametrize("count, p99", [(1, 1.0), (99, 99.0), (100, 99.0), (200, 198.0)])
def test_p99_is_a_nearest_rank(count: int, p99: float) -> None:
    assert Point(1, [float(number) for number in range(count, 0, -1)]).p99_s == p99


def test_requests_that_take_no_time_are_not_asked_for_ever() -> None:
    assert round_of({1: 0.0, 2: 1.0}) == [1] * 10 + [2]


@pytest.mark.parametrize(
    "header, counts",
    [("table", {"table": 9}), ("table=3, model=6", {"table": 3, "model": 6}), ("", {}), ("a=b", {"a": 9})],
)
def test_sources_are_read(header: str, counts: dict[str, int]) -> None:
    assert rows_by_source(header, 9) == counts
