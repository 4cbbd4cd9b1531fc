"""Runners: where the splits of a batch job run. The same task gives the same bytes on each.

A new runner is one class with ``run`` in its own file, and an entry in ``open_runner``.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from engine.errors import BadSettings

S = TypeVar("S")
R = TypeVar("R")
S_contra = TypeVar("S_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)
RUNNERS = ("auto", "local", "spark")
# How often a split is tried that storage failed or whose worker died: Spark's own number. Fewer, and one lost host
# ends a long job; more, and a split that always kills its worker takes longer to be told.
ATTEMPTS = 4


class FileRange(NamedTuple):
    """Some bytes of a stored file.

    Attributes:
        url: of the file.
        start: of the first byte; may be off by a little, where only a guess is to be had.
        size_bytes: how many.
    """

    url: str
    start: int
    size_bytes: int


# What a split reads: where that is stored is a good place to run it.
Ranges = Callable[[S], Sequence[FileRange]]


class Task(Protocol[S_contra, R_co]):
    """A picklable, pure function of a split: it may run twice, or on two hosts at once."""

    def __call__(self, split: S_contra, /) -> R_co:
        """Do the split's work, or find it done, and say what came of it."""
        ...


class Runner(Protocol):
    """Contract: every split runs at least once; results come in any order; the first refusal ends the run.

    A split whose task raises ``Unavailable``, or whose worker dies, is tried again, ``ATTEMPTS`` times in all.
    """

    name: str

    def run(
        self,
        task: Task[S, R],
        splits: Sequence[S],
        advance: Callable[[int], object],
        *,
        ranges: Ranges[S] | None = None,
    ) -> list[R]:
        """Run all splits and return their results.

        Args:
            task: what to do with a split.
            splits: picklable; a number, or what describes one.
            advance: told how many splits were finished since it was last told.
            ranges: what a split reads: a hint where to run it, for a runner on many hosts.

        Raises:
            ForetableError: what a task raised.
            Unavailable: a split failed at every attempt.
            Exception: a bug of the task, as it is or as an ``EngineBug``.
        """
        ...


def open_runner(
    name: str, *, workers: int | None = None, master: str | None = None, executor_archive: str | None = None
) -> Runner:
    """Return a runner by name.

    Args:
        name: ``local`` (processes, no JVM), ``spark``, or ``auto``: Spark where pyspark and Java are installed.
        workers: processes of the local runner, and cores of a local Spark; None is one a core.
        master: Spark's; None leaves it to spark-submit, or takes ``local[workers]``.
        executor_archive: path or URL of what ``jobs.pack`` wrote, for Spark to ship; None ships nothing.

    Raises:
        BadSettings: there is none of that name, it is not installed, or it cannot ship an archive.
        Unavailable: Spark's master does not answer.
    """
    cores = workers or len(os.sched_getaffinity(0))
    if name == "auto":
        name = "spark" if spark_is_installed() else "local"
    if executor_archive and (name != "spark" or not master):
        message = (
            "--executor-archive must come with --runner spark and a --master, whose executors unpack it; it does not"
        )
        raise BadSettings(message)
    if name == "local":
        from jobs.local_runner import LocalRunner

        return LocalRunner(cores)
    if name == "spark":
        if not spark_is_installed():
            message = (
                "the spark runner needs pyspark (pip install foretable[spark]) and Java 17 or 21; use --runner local"
            )
            raise BadSettings(message)
        from jobs.spark_runner import SparkRunner

        return SparkRunner(master, cores, executor_archive)
    message = f"a runner must be one of {', '.join(RUNNERS)}; got {name!r}"
    raise BadSettings(message)


def spark_is_installed() -> bool:
    """Whether pyspark can be imported and a Java can be started, or runs already: spark-submit's."""
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        return True
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    return java is not None and importlib.util.find_spec("pyspark") is not None
