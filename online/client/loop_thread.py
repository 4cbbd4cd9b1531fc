"""An event loop that runs in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from engine.errors import BadSettings

T = TypeVar("T")


class LoopThread:
    """Runs coroutines for other threads. It is a daemon: a program that forgets to close it ends all the same."""

    def __init__(self) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._run, name="foretable-client", daemon=True)
        self._thread.start()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine; cancelling the future cancels it.

        Raises:
            BadSettings: the loop is closed, or runs in the process that this one was forked from.
        """
        if self._loop.is_closed() or os.getpid() != self._process:
            coroutine.close()
            message = "a client must be open, and used in the process that made it; got another. Make a new one"
            raise BadSettings(message)
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine returns; an interrupt cancels it."""
        future = self.submit(coroutine)
        try:
            return future.result()
        finally:
            future.cancel()

    def close(self, before: Callable[[], Awaitable[object]]) -> None:
        """End what runs, then call ``before`` on the loop, and end the thread. Does nothing when repeated."""
        if self._loop.is_closed() or os.getpid() != self._process:
            return
        self.run(self._end(before))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _end(self, before: Callable[[], Awaitable[object]]) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await before()
        await self._loop.shutdown_default_executor()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()
