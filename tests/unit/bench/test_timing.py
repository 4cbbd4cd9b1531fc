from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from bench import timing
from engine.errors import BadSettings

MIB = 2**20


class Clock:
    """A clock that actions move by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[str] = []

    def action(self, name: str, *durations: float) -> Callable[[], None]:
        left = list(durations)

        def run() -> None:
            self.log.append(name)
            self.now += left.pop(0)

        return run


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("bench.timing.time.perf_counter", lambda: clock.now)
    return clock


def test_median_ignores_warmup_and_outlier(clock: Clock) -> None:
    assert timing.median_seconds(clock.action("a", 100, 1, 2, 50), repeats=3) == 2


def test_pairs_take_turns_and_a_slow_spell_hits_both(clock: Clock) -> None:
    ours = clock.action("ours", 1, 10, 2)
    peer = clock.action("peer", 3, 30, 6)
    assert timing.paired_ratio(ours, peer, repeats=3, warmups=0) == 3
    assert clock.log == ["ours", "peer", "peer", "ours", "ours", "peer"]


@pytest.mark.parametrize(
    "measure", [timing.median_seconds, lambda a, repeats: timing.paired_ratio(a, a, repeats=repeats)]
)
def test_repeats_must_be_positive(measure: Callable[..., float]) -> None:
    with pytest.raises(BadSettings, match="repeats must be 1 or more; got 0"):
        measure(lambda: None, repeats=0)


def test_child_peak_is_its_own() -> None:
    ballast = bytearray(200 * MIB)  # ours: must not count as the child's
    small = timing.run_child([sys.executable, "-S", "-c", "pass"])
    large = timing.run_child([sys.executable, "-S", "-c", f"bytearray({100 * MIB})"])
    assert len(ballast) == 200 * MIB
    assert small.returncode == 0
    assert small.peak_rss_bytes < 60 * MIB
    assert 95 * MIB < large.peak_rss_bytes - small.peak_rss_bytes < 105 * MIB
    assert large.wall_s > 0


def test_exit_status_of_the_child_is_kept() -> None:
    assert timing.run_child([sys.executable, "-S", "-c", "raise SystemExit(65)"]).returncode == 65


def test_child_that_hangs_is_killed() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        timing.run_child([sys.executable, "-S", "-c", "import signal; signal.pause()"], timeout_s=0.5)
