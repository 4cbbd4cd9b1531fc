"""The pool: each interpreter is lent to one caller at a time, those who wait get what comes back."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.errors import BadArtifact, DeadlineExceeded
from engine.interpreter import Interpreter
from engine.interpreter_pool import InterpreterPool
from tests.support.waiting import wait_until


def unloaded() -> Interpreter:
    """An interpreter of nothing, which is all that a pool needs."""
    return Interpreter.__new__(Interpreter)


def test_interpreters_are_made_when_they_are_needed() -> None:
    made = list[Interpreter]()

    def make() -> Interpreter:
        made.append(unloaded())
        return made[-1]

    pool = InterpreterPool(make, 2)
    for _ in range(3):
        pool.put(pool.take())
    assert len(made) == 1
    assert [pool.take(), pool.take_idle()] == made
    assert len(made) == 2
    assert pool.take_idle() is None


def test_who_waits_gets_what_is_put_back() -> None:
    pool = InterpreterPool(unloaded, 1)
    taken = pool.take()
    with ThreadPoolExecutor(1) as threads:
        found = threads.submit(pool.take, time.time() + 60)
        wait_until(lambda: pool.awaited == 1, what="somebody waits")
        pool.put(taken)
        assert found.result() is taken
    assert pool.awaited == 0


def test_nobody_waits_past_the_deadline() -> None:
    pool = InterpreterPool(unloaded, 1)
    taken = pool.take()
    for seconds in (-1, 0.01):
        with pytest.raises(DeadlineExceeded):
            pool.take(time.time() + seconds)
    assert pool.awaited == 0
    pool.put(taken)
    assert pool.take(time.time() - 1) is taken


def test_one_that_cannot_be_made_takes_no_place() -> None:
    def make() -> Interpreter:
        message = "no model"
        raise BadArtifact(message)

    pool = InterpreterPool(make, 1)
    for take in (pool.take, pool.take_idle, pool.take):
        with pytest.raises(BadArtifact):
            take()


def test_no_interpreter_is_lent_twice_or_lost() -> None:
    pool, lent, lock = InterpreterPool(unloaded, 3), set[int](), threading.Lock()

    def borrow(number: int) -> None:
        interpreter = pool.take(time.time() + 60) if number % 2 else pool.take()
        with lock:
            assert id(interpreter) not in lent
            lent.add(id(interpreter))
        with lock:
            lent.remove(id(interpreter))
        pool.put(interpreter)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(borrow, range(4000)))
    assert len({*(taken := [pool.take_idle() for _ in range(3)])}) == len(taken)
    assert None not in taken
    assert pool.take_idle() is None
