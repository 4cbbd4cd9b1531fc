"""The options that say where the splits of a program run."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from jobs.program import positive
from jobs.runner import RUNNERS, Runner, open_runner


def add_runner(options: argparse._ActionsContainer) -> None:
    """Add them."""
    options.add_argument("--runner", default="auto", choices=RUNNERS, help="where the work is done; default: auto")
    options.add_argument(
        "--workers", type=positive, metavar="N", help="processes, or Spark's local cores; default: one a core"
    )
    options.add_argument("--master", metavar="URL", help="Spark's master; default: spark-submit's, or local")
    options.add_argument(
        "--executor-archive",
        metavar="FILE",
        help="what `foretable pack` wrote, a path or URL: shipped to the master's executors",
    )


def runner_of(arguments: argparse.Namespace) -> Callable[[], Runner]:
    """Return what opens the runner that the arguments say."""
    return lambda: open_runner(
        arguments.runner,
        workers=arguments.workers,
        master=arguments.master,
        executor_archive=arguments.executor_archive,
    )
