"""A crew: threads that take a share of one caller's work while they have nothing else to do."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Crew:
    """Threads beside the caller's, for work in Arrow, numpy and LiteRT, which let go of the GIL.

    Thread-safe. Help is not waited for: the caller works too, and takes back what no thread has begun. So it is done
    when it would be by itself, or sooner, however many callers there are; in a forked process, too, which has none of
    the threads. They start when first asked, and end with the crew.
    """

    def __init__(self, size: int) -> None:
        """Let so many threads work at once for one caller, its own among them."""
        self._size, self._callers, self._lock = size, 0, threading.Lock()
        self._threads = ThreadPoolExecutor(size - 1, "crew") if size > 1 else None

    def share(self, work: Callable[[], object], help_out: Callable[[], object], *, helpers: int) -> None:
        """Do work here, with help from threads that are idle; return when none of them is at it any more.

        Args:
            work: takes pieces until none is left.
            help_out: takes some of the same pieces. It is called in other threads, or not at all.
            helpers: how many of them have any use.

        Raises:
            Exception: what ``work`` raised, or else what ``help_out`` did. The others are not stopped.
        """
        if self._threads is None:
            work()
            return
        with self._lock:
            self._callers += 1
            # A caller's own thread is one of them: with more at work than cores, all would take longer.
            asked = min(self._size - self._callers, helpers)
        calls = [self._threads.submit(help_out) for _ in range(asked)]
        try:
            work()
        finally:
            begun = [call for call in calls if not call.cancel()]
            errors = [call.exception() for call in begun]  # waits
            with self._lock:
                self._callers -= 1
        for error in errors:
            if error is not None:
                raise error

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Return a function's results, in the order of the items; raise what it raised."""
        results: dict[int, R] = {}
        places = iter(range(len(items)))  # a step is one call into C: no two threads get the same

        def work() -> None:
            for place in places:
                results[place] = function(items[place])

        self.share(work, work, helpers=len(items) - 1)
        return [results[place] for place in range(len(items))]


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def crew_of_cores() -> Crew:
    """Return the process's crew of a thread a core, made when first asked for."""
    return Crew(cores())
