"""A runner without processes, for tests of what a job does and not of where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from jobs.runner import Ranges, Task

S = TypeVar("S")
R = TypeVar("R")


class InlineRunner:
    """Runs the splits one after the other in this process."""

    name = "inline"

    def run(
        self,
        task: Task[S, R],
        splits: Sequence[S],
        advance: Callable[[int], object],
        *,
        ranges: Ranges[S] | None = None,
    ) -> list[R]:
        """Run all splits; see ``jobs.runner.Runner``."""
        results = []
        for split in splits:
            results.append(task(split))
            advance(1)
        return results
