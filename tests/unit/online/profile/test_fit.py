"""The line: recovered from noise, never below zero, and honest where times lie on no line."""

from __future__ import annotations

import numpy as np
import pytest

from online.profile.fit import Fit, Line, fit_line

SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)


def times(overhead_s: float, compute_s: float, *, noise: float = 0.0, seed: int = 1) -> list[float]:
    random = np.random.default_rng(seed)
    return [float((overhead_s + n * compute_s) * (1 + noise * random.uniform(-1, 1))) for n in SIZES]


@pytest.mark.parametrize("overhead_s, compute_s", [(4e-4, 2e-6), (5e-3, 1e-7), (1e-4, 1e-3)])
def test_exact_times_give_the_line_back(overhead_s: float, compute_s: float) -> None:
    line = fit_line(SIZES, times(overhead_s, compute_s))
    assert line.overhead_s == pytest.approx(overhead_s, rel=1e-6)
    assert line.compute_s == pytest.approx(compute_s, rel=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_noise_of_a_tenth_moves_each_part_by_no_more(seed: int) -> None:
    line = fit_line(SIZES, times(4e-4, 2e-6, noise=0.1, seed=seed))
    assert line.overhead_s == pytest.approx(4e-4, rel=0.1)
    assert line.compute_s == pytest.approx(2e-6, rel=0.1)


def test_times_that_fall_cost_nothing_a_row() -> None:
    line = fit_line([1, 10, 100], [3e-3, 2.9e-3, 2.8e-3])
    assert line.compute_s == 0
    assert 2.8e-3 < line.overhead_s < 3e-3
    assert (line.top_rate, line.balanced_rows, line.rows_reaching(0.9)) == (None, None, None)


def test_times_that_grow_faster_than_rows_have_no_overhead() -> None:
    line = fit_line([1, 10, 100], [1e-4, 2e-3, 4e-2])
    assert line.overhead_s == 0
    assert 1e-4 < line.compute_s < 4e-4
    assert line.rows_reaching(0.9) == 1


def test_clamped_line_is_the_best_that_is_allowed() -> None:
    rows, seconds = [1, 10, 100], [1e-4, 2e-3, 4e-2]

    def squares(overhead_s: float, compute_s: float) -> float:
        return sum(((overhead_s + n * compute_s) / t - 1) ** 2 for n, t in zip(rows, seconds, strict=True))

    line = fit_line(rows, seconds)
    least = min(squares(a, b) for a in np.linspace(0, 1e-3, 101) for b in np.linspace(0, 1e-3, 1001))
    assert squares(line.overhead_s, line.compute_s) <= least + 1e-12


def test_sizes_that_follow_from_the_line() -> None:
    line = Line(1e-3, 1e-5)
    assert line.balanced_rows == pytest.approx(100)
    assert line.top_rate == pytest.approx(100_000)
    rows = line.rows_reaching(0.9)
    assert rows == 900
    assert rows / line.seconds(rows) >= 0.9 * 100_000 * (1 - 1e-9)
    assert (rows - 1) / line.seconds(rows - 1) < 0.9 * 100_000


def test_overhead_is_split_by_what_the_application_took() -> None:
    fit = Fit.of(SIZES, times(1e-3, 2e-6), times(3e-4, 1.5e-6))
    assert fit.inside_overhead_s == pytest.approx(3e-4, rel=1e-6)
    assert Fit.of(SIZES, times(1e-3, 2e-6), [None, *times(3e-4, 1e-6)[1:]]).inside_overhead_s is None


def test_inside_is_never_more_than_the_whole() -> None:
    fit = Fit.of(SIZES, times(1e-3, 2e-6), times(2e-3, 2e-6))
    assert fit.inside_overhead_s == fit.line.overhead_s


def test_good_fit_says_how_good() -> None:
    fit = Fit.of(SIZES, times(4e-4, 2e-6, noise=0.1), [None] * len(SIZES))
    assert fit.is_good
    assert fit.described(noisy=False).startswith("within ")


def test_step_in_the_middle_is_no_line() -> None:
    seconds = times(4e-4, 2e-6)
    for place in (5, 6):  # 50 and 100 rows cost what 1,024 would
        seconds[place] = 3e-3
    fit = Fit.of(SIZES, seconds, [None] * len(SIZES))
    assert not fit.is_good
    assert fit.worst[0] in {50, 100}
    assert fit.described(noisy=False).startswith(f"bad: {fit.worst[0]} rows take ")
    assert "a step or a bend" in fit.described(noisy=False)
    assert "measure longer" in fit.described(noisy=True)


def test_one_row_on_a_path_of_its_own_is_left_aside() -> None:
    fit = Fit.of(SIZES, [1e-4, *times(4e-4, 2e-6)[1:]], [5e-5, *times(1e-4, 2e-6)[1:]])
    assert fit.is_good
    assert fit.one_row_s == 1e-4
    assert fit.line.overhead_s == pytest.approx(4e-4, rel=1e-6)
    assert fit.inside_overhead_s == pytest.approx(1e-4, rel=1e-6)
    assert fit.described(noisy=False).endswith("but that of one row, which takes a path of its own: 0.100 ms")


def test_one_row_is_kept_where_too_few_sizes_are_left_or_it_is_not_alone() -> None:
    assert Fit.of([1, 10, 100], [1e-4, 1e-3, 2e-3], [None] * 3).one_row_s is None
    seconds = [1e-4, *times(4e-4, 2e-6)[1:]]
    seconds[6] = 3e-3
    assert Fit.of(SIZES, seconds, [None] * len(SIZES)).one_row_s is None


def test_rows_that_grow_dearer_are_no_line() -> None:
    fit = Fit.of(SIZES, [4e-4 + 2e-6 * n + 2e-9 * n * n for n in SIZES], [None] * len(SIZES))
    assert not fit.is_good
    assert "rows take" in fit.described(noisy=False)
