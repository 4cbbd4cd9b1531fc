"""The interpreters of one number of rows: a few, lent to one batch after the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from engine.errors import DeadlineExceeded
from engine.interpreter import Interpreter


class InterpreterPool:
    """So many interpreters, each made when it is first lent. Thread-safe. Who takes one puts it back.

    Attributes:
        awaited: how many callers wait for one.
    """

    def __init__(self, make: Callable[[], Interpreter], size: int) -> None:
        """Keep how one is made, and ``size`` places for them."""
        self._make = make
        # A stack, whose steps are calls into C that need no lock: the last one used is in the cache, and made.
        self._idle: list[Interpreter | None] = [None] * size
        self._returned = threading.Condition()
        self.awaited = 0

    def take(self, deadline: float | None = None) -> Interpreter:
        """Return one, waiting for it no longer than until the deadline, an instant in ``time.time`` seconds.

        Raises:
            DeadlineExceeded: none was put back in time.
            BadArtifact: as ``Interpreter``.
        """
        try:
            interpreter = self._idle.pop()
        except IndexError:
            interpreter = self._await(deadline)
        return self._made(interpreter)

    def take_idle(self, *, make: bool = True) -> Interpreter | None:
        """Return one, or None where none is idle; without ``make``, none that is made. Raise as ``Interpreter``."""
        try:
            interpreter = self._idle.pop()
        except IndexError:
            return None
        if interpreter is None and not make:
            self.put(None)
            return None
        return self._made(interpreter)

    def put(self, interpreter: Interpreter | None) -> None:
        """Take one back, or its place."""
        self._idle.append(interpreter)
        if self.awaited:
            with self._returned:
                self._returned.notify()

    def _await(self, deadline: float | None) -> Interpreter | None:
        with self._returned:
            self.awaited += 1  # before the look: who puts one back after it sees this, and notifies
            try:
                while True:
                    try:
                        return self._idle.pop()
                    except IndexError:
                        left_s = None if deadline is None else deadline - time.time()
                        if left_s is not None and left_s <= 0:
                            raise too_late() from None
                        self._returned.wait(left_s)
            finally:
                self.awaited -= 1

    def _made(self, interpreter: Interpreter | None) -> Interpreter:
        if interpreter is not None:
            return interpreter
        try:
            return self._make()
        except BaseException:
            self.put(None)
            raise


def too_late() -> DeadlineExceeded:
    """Return the error of a model that could not answer in time."""
    return DeadlineExceeded("the deadline has passed before the model could answer. Give more time, or ask for less")
