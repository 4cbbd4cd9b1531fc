"""Threads that do what would keep the event loop, in the order in which they were asked to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from online.exchange import Exchange
from online.failure import failure
from online.http.reply import Reply


class Threads:
    """A number of threads. All methods are for the event loop's thread."""

    def __init__(self, number: int, name: str, begin: Callable[[], None] | None = None) -> None:
        """Start them when there is something to do; each begins with ``begin``."""
        self._pool = ThreadPoolExecutor(number, name, begin)

    def run(self, call: Callable[[], Reply], exchange: Exchange, end: Callable[[Reply], None]) -> Future[None]:
        """Let a thread make the reply to a request; ``end`` gets it, or what its failure is told as, on this thread.

        ``cancel`` of what is returned keeps a call from being made that has not begun: then ``end`` is not called.
        """
        loop = asyncio.get_running_loop()

        def run() -> None:
            try:
                reply = call()
            except Exception as error:
                reply = failure(error, exchange)
            loop.call_soon_threadsafe(end, reply)

        return self._pool.submit(run)

    def close(self) -> None:
        """End the threads with what they do now."""
        self._pool.shutdown(wait=False, cancel_futures=True)
