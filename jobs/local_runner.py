"""The local runner: a pool of processes on this machine, no JVM."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import NoReturn, TypeVar

from engine.errors import Unavailable
from jobs.runner import Task

R = TypeVar("R")
_TERMINATED = 143


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
        others = set(multiprocessing.active_children())
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
        results: list[R] = []
        try:
            for future in as_completed([pool.submit(_work, task, split) for split in splits]):
                results.append(future.result())
                advance(1)
        except BrokenProcessPool as error:
            message = (
                "a worker process died: killed, or out of memory. Finished shards are kept: "
                "run again, with fewer --workers if memory is short"
            )
            raise Unavailable(message) from error
        except KeyboardInterrupt:  # whoever pressed Ctrl-C does not wait for the shards under way
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        return results


def _work(task: Task[R], split: int) -> R:
    """Run a split in a worker; when told to end, end after the task has removed what it had half written."""
    try:
        return task(split)
    except SystemExit:  # the pool would send it to the driver and wait for more work
        os._exit(_TERMINATED)


def _start_worker() -> None:
    """End this worker when told to, and when the driver is killed: it would wait for work for ever otherwise."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver ends the pool
    signal.signal(signal.SIGTERM, _terminate)
    threading.Thread(target=_watch_driver, daemon=True).start()


def _watch_driver() -> None:
    # The fork server, this worker's parent, lives as long as any worker does: only the driver itself tells.
    driver = multiprocessing.parent_process()
    if driver is not None:
        wait([driver.sentinel])
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def _terminate(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: let the clean-up finish
    sys.exit(_TERMINATED)
