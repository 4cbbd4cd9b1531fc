"""A runner around a runner that learns how much memory each worker process needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import jobs.scoring.task
import jobs.shard_task  # noqa: F401  # the fork server loads this module first, and with it all that a task needs
from bench.server_process import memory_bytes
from jobs.runner import Ranges, Runner, Task

S = TypeVar("S")
R = TypeVar("R")


class MeasuredRunner:
    """Runs tasks by another runner.

    Attributes:
        peaks: process id of a worker -> the most memory that was resident, in bytes, over all runs.
    """

    def __init__(self, runner: Runner) -> None:
        """Wrap a runner."""
        self.name, self._runner = runner.name, runner
        self.peaks: dict[int, int] = {}

    @property
    def peak_bytes(self) -> int:
        """The largest worker's peak."""
        return max(self.peaks.values())

    def run(
        self,
        task: Task[S, R],
        splits: Sequence[S],
        advance: Callable[[int], object],
        *,
        ranges: Ranges[S] | None = None,
    ) -> list[R]:
        """Run all splits; see ``jobs.runner.Runner``."""
        done = self._runner.run(MeasuredTask(task), splits, advance, ranges=ranges)
        for _, process, peak in done:
            self.peaks[process] = max(peak, self.peaks.get(process, 0))
        return [result for result, _, _ in done]


@dataclass(frozen=True)
class MeasuredTask(Generic[S, R]):
    """A task that also says which process did it, and the most memory that this process had resident so far."""

    task: Task[S, R]

    def __call__(self, split: S, /) -> tuple[R, int, int]:
        """Do the split's work."""
        result = self.task(split)
        return result, os.getpid(), memory_bytes("self", "VmHWM")
