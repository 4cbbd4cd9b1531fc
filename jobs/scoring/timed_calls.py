"""Calls that are given up when they take too long."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

R = TypeVar("R")


class TimedOut(Exception):  # a signal, not an error
    """A call did not end in time."""


class TimedCalls:
    """Runs calls, one after the other, on a thread of its own.

    A call into a library cannot be interrupted. One that takes too long is left alone on its thread, which may spin
    until the process ends, and the next call gets a new thread. Whatever the stuck call holds must not be used again.
    """

    def __init__(self, timeout_s: float) -> None:
        """Keep the time that a call may take."""
        self._timeout_s = min(timeout_s, threading.TIMEOUT_MAX)
        self._calls: queue.SimpleQueue[Callable[[], None] | None] | None = None

    def run(self, call: Callable[[], R]) -> R:
        """Run a call and return its result or raise its error.

        Raises:
            TimedOut: it takes too long.
        """
        outcome: queue.SimpleQueue[tuple[R | None, BaseException | None]] = queue.SimpleQueue()

        def answer() -> None:
            try:
                outcome.put((call(), None))
            except BaseException as error:
                outcome.put((None, error))

        if self._calls is None:
            self._calls = queue.SimpleQueue()
            threading.Thread(target=_work, args=(self._calls,), daemon=True).start()
        self._calls.put(answer)
        try:
            result, error = outcome.get(timeout=self._timeout_s)
        except queue.Empty:
            self.close()
            raise TimedOut from None
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # None only where R is

    def close(self) -> None:
        """End the thread after the call that it is at."""
        if self._calls is not None:
            self._calls.put(None)
            self._calls = None


def _work(calls: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    while (call := calls.get()) is not None:
        call()
