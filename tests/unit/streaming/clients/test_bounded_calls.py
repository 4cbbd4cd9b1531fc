"""Calls with a time limit: what comes of them, in their order, and what is left alone."""

from __future__ import annotations

import threading

import pytest

from streaming.clients.bounded_calls import BoundedCalls
from tests.support.waiting import wait_until


def test_calls_are_made_in_their_order_in_one_other_thread() -> None:
    calls = BoundedCalls()
    made: list[tuple[int, int]] = []
    for index in range(3):
        calls.run(lambda index=index: made.append((index, threading.get_ident())), 10)  # type: ignore[misc]
    assert [index for index, _ in made] == [0, 1, 2]
    assert len({thread for _, thread in made} | {threading.get_ident()}) == 2
    calls.close()


def test_what_a_call_raises_is_raised() -> None:
    calls = BoundedCalls()
    with pytest.raises(ZeroDivisionError):
        calls.run(lambda: 1 // 0, 10)
    calls.run(lambda: None, 10)
    calls.close()


def test_a_call_that_takes_too_long_is_left_alone() -> None:
    calls = BoundedCalls()
    go_on = threading.Event()
    ended = threading.Event()

    def slow() -> None:
        go_on.wait()
        ended.set()

    with pytest.raises(TimeoutError, match=r"no answer within 0\.01 s"):
        calls.run(slow, 0.01)
    assert not ended.is_set()
    calls.close()
    go_on.set()
    wait_until(ended.is_set, what="the call ended by itself")
