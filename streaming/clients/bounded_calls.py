"""A time limit for calls that keep none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue


class BoundedCalls:
    """Makes calls in a thread of its own, one after the other, and does not wait longer than it is told.

    After a ``TimeoutError`` the thread is left alone with its call: take a new object for the next.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._ends: SimpleQueue[BaseException | None] = SimpleQueue()
        # A daemon: a call that never returns must not keep the process from ending.
        threading.Thread(target=self._work, name="bounded-calls", daemon=True).start()

    def run(self, call: Callable[[], object], timeout_s: float) -> None:
        """Make the call and wait; raise what it raises.

        Raises:
            TimeoutError: it took longer than ``timeout_s``, and goes on.
        """
        self._calls.put(call)
        try:
            error = self._ends.get(timeout=timeout_s)
        except Empty:
            message = f"no answer within {timeout_s:g} s"
            raise TimeoutError(message) from None
        if error is not None:
            raise error

    def close(self) -> None:
        """End the thread, after the call that it is busy with."""
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            end: BaseException | None = None
            try:
                call()
            except BaseException as error:  # it is the caller's
                end = error
            del call  # with what it holds: it may be the last to do so
            self._ends.put(end)
