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
from jobs.runner import ATTEMPTS, Ranges, Task

S = TypeVar("S")
R = TypeVar("R")
_TERMINATED = 143


class LocalRunner:
    """Runs splits in ``workers`` processes."""

    name = "local"

    def __init__(self, workers: int) -> None:
        """Keep the number of processes; they start with the first run."""
        self.workers = workers
        self._refused = 0  # tries that the storage failed since the last that it did not

    def run(
        self,
        task: Task[S, R],
        splits: Sequence[S],
        advance: Callable[[int], object],
        *,
        ranges: Ranges[S] | None = None,  # noqa: ARG002 - there is one host
    ) -> list[R]:
        """Run all splits; see ``jobs.runner.Runner``."""
        results: list[R] = []
        left = list(splits)
        tries = 0
        self._refused = 0
        while left:
            finished, failed, why = self._round(task, left, advance)
            results += finished
            # Who killed the worker is not known, so rounds are counted, and only from the last that something came of.
            tries = 1 if finished else tries + 1
            if failed and (tries >= ATTEMPTS or self._is_down):
                assert why is not None
                raise why
            left = failed
        return results

    @property
    def _is_down(self) -> bool:
        """Whether no worker got anything out of the storage for so long that the splits after these need no try."""
        return self._refused >= ATTEMPTS * self.workers

    def _round(
        self, task: Task[S, R], splits: Sequence[S], advance: Callable[[int], object]
    ) -> tuple[list[R], list[S], Unavailable | None]:
        """Try each split once; return the results, the splits that are worth another try, and why one of them is."""
        # The fork server imports once and forks workers from a process without threads.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([type(task).__module__])
        others = set(multiprocessing.active_children())
        pool = ProcessPoolExecutor(min(self.workers, len(splits)), mp_context=context, initializer=_start_worker)
        results: list[R] = []
        failed: list[S] = []
        why: Unavailable | None = None
        try:
            futures = {pool.submit(_work, task, split): split for split in splits}
            for future in as_completed(futures):
                try:
                    results.append(future.result())
                except (Unavailable, BrokenProcessPool) as error:
                    failed.append(futures[future])
                    why = _killed(error) if isinstance(error, BrokenProcessPool) else error
                    self._refused += isinstance(error, Unavailable)
                    if self._is_down:
                        break
                else:
                    self._refused = 0
                    advance(1)
        except BrokenProcessPool as error:  # before all were submitted
            return [], list(splits), _killed(error)
        except KeyboardInterrupt:  # whoever pressed Ctrl-C does not wait for the splits under way
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        return results, failed, why


def _killed(error: BrokenProcessPool) -> Unavailable:
    message = (
        "a worker process died: killed, or out of memory. What was finished is kept: "
        "run again, with fewer --workers if memory is short"
    )
    refusal = Unavailable(message)
    refusal.__cause__ = error
    return refusal


def _work(task: Task[S, R], split: S) -> R:
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
