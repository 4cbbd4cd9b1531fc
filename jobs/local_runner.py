"""The local runner: a pool of processes on this machine, no JVM."""

from __future__ import annotations

import ctypes
import multiprocessing
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from engine.errors import Unavailable
from jobs.runner import Task

R = TypeVar("R")
_PR_SET_PDEATHSIG = 1


class LocalRunner:
    """Runs splits in ``workers`` processes."""

    name = "local"

    def __init__(self, workers: int) -> None:
        """Keep the number of processes; they start with the first run."""
        self.workers = workers

    def run(self, task: Task[R], splits: Sequence[int], advance: Callable[[int], object]) -> list[R]:
        """Run all splits; see ``jobs.runner.Runner``."""
        # The fork server imports once and forks workers from a process without threads.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([type(task).__module__])
        workers = min(self.workers, len(splits)) or 1
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_die_with_parent)
        results: list[R] = []
        try:
            for future in as_completed([pool.submit(task, split) for split in splits]):
                results.append(future.result())
                advance(1)
        except BrokenProcessPool as error:
            message = (
                "a worker process died: killed, or out of memory. Finished shards are kept: "
                "run again, with fewer --workers if memory is short"
            )
            raise Unavailable(message) from error
        finally:
            pool.shutdown(cancel_futures=True)
        return results


def _die_with_parent() -> None:
    """End this worker when the driver is killed: it would wait for work for ever otherwise."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver ends the pool
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
