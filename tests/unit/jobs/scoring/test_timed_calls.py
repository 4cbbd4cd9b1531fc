from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from jobs.scoring.timed_calls import TimedCalls, TimedOut
from tests.support.waiting import wait_until


@contextmanager
def timed_calls(timeout_s: float) -> Iterator[TimedCalls]:
    calls = TimedCalls(timeout_s)
    try:
        yield calls
    finally:
        calls.close()


def test_results_and_errors_come_through() -> None:
    with timed_calls(60) as calls:
        assert calls.run(lambda: 7) == 7
        assert calls.run(lambda: None) is None
        with pytest.raises(ZeroDivisionError):
            calls.run(lambda: 1 // 0)
        assert calls.run(threading.get_ident) == calls.run(threading.get_ident) != threading.get_ident()


def test_a_stuck_call_is_left_alone_and_the_next_one_runs() -> None:
    gate, done = threading.Event(), threading.Event()

    def stuck() -> int:
        gate.wait()
        done.set()
        return 1

    threads = threading.active_count()
    with timed_calls(0.05) as calls:
        with pytest.raises(TimedOut):
            calls.run(stuck)
        assert calls.run(lambda: 2) == 2  # and not the late 1
        gate.set()
        assert done.wait(60)
        assert calls.run(lambda: 3) == 3
    wait_until(lambda: threading.active_count() == threads, what="both threads have ended")


@pytest.mark.parametrize("timeout_s", [1e12, float("inf")])
def test_a_timeout_longer_than_the_clock_can_count(timeout_s: float) -> None:
    with timed_calls(timeout_s) as calls:
        assert calls.run(lambda: 1) == 1


def test_closing_twice_or_before_a_call() -> None:
    calls = TimedCalls(60)
    calls.close()
    assert calls.run(lambda: 1) == 1
    calls.close()
    calls.close()
