"""The Spark runner: Spark schedules, and rows never cross the JVM."""

from __future__ import annotations

import os
import sys
import threading
import zipimport
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from py4j.protocol import Py4JError, Py4JJavaError  # type: ignore[import-untyped]
from pyspark import RDD, SparkContext
from pyspark.serializers import CPickleSerializer
from pyspark.sql import SparkSession

from engine.errors import ForetableError, Unavailable
from jobs.runner import ATTEMPTS, Hosts, Task

S = TypeVar("S")
R = TypeVar("R")
_POLL_S = 0.2
# How an executor's traceback begins the line of an error that is worth a new try.
_RAISED = "engine.errors.Unavailable: "


class SparkRunner:
    """Runs splits as tasks of one Spark job, on any master."""

    name = "spark"

    def __init__(self, master: str | None, cores: int) -> None:
        """Start a session, or take the one that is there.

        Args:
            master: Spark's master URL; None leaves it to spark-submit, or takes ``local[cores]``.
            cores: of a local master.
        """
        builder = SparkSession.builder.appName("foretable").config("spark.ui.showConsoleProgress", "false")
        if master:
            builder = builder.master(master)
        elif not SparkContext._active_spark_context and "PYSPARK_GATEWAY_PORT" not in os.environ:
            builder = _laptop(builder, cores)  # neither a session nor spark-submit has chosen a master
        self._context = _start(builder)

    def run(
        self,
        task: Task[S, R],
        splits: Sequence[S],
        advance: Callable[[int], object],
        *,
        hosts: Hosts[S] | None = None,
    ) -> list[R]:
        """Run all splits; see ``jobs.runner.Runner``."""
        if not splits:
            return []
        group = f"foretable-{id(task)}"
        self._seen = 0  # finished splits that were reported
        finished = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(group, len(splits), advance, finished), daemon=True)
        watcher.start()
        try:
            outcomes = self._collect(group, task, splits, hosts)
        except Py4JJavaError as error:
            message = (
                f"Spark gave the job up: {_cause(str(error.java_exception))}. What was finished is kept: run again"
            )
            raise Unavailable(message) from error
        except Py4JError as error:
            message = f"Spark's JVM is gone: killed, or out of memory ({error}). What was finished is kept: run again"
            raise Unavailable(message) from error
        finally:
            finished.set()
            watcher.join()
        advance(len(splits) - self._seen)
        for outcome in outcomes:
            if isinstance(outcome, ForetableError):
                raise outcome
        return outcomes

    def _collect(self, group: str, task: Task[S, R], splits: Sequence[S], hosts: Hosts[S] | None) -> list[Any]:
        """Run the job on a thread of its own: a Ctrl-C must not fall into the middle of an answer of the JVM."""

        def job() -> list[Any]:
            self._context.setJobGroup(group, f"foretable: {len(splits)} splits")
            return list(self._spread(splits, hosts).map(_Guarded(task)).collect())

        with ThreadPoolExecutor(1) as pool:
            try:
                return pool.submit(job).result()
            except KeyboardInterrupt:
                self._context.cancelJobGroup(group)
                raise

    def _spread(self, splits: Sequence[S], hosts: Hosts[S] | None) -> RDD[S]:
        """Return the splits as a data set of one partition each, near their hosts where these are known."""
        near = [list(hosts(split)) for split in splits] if hosts else []
        if not any(near):
            return self._context.parallelize(splits, len(splits))
        # Only the JVM's makeRDD takes hosts; its elements are what Python's serializer makes of a split.
        serializer: Any = CPickleSerializer()  # has no types
        jvm: Any = self._context._jvm
        convert = jvm.scala.jdk.javaapi.CollectionConverters.asScala
        pairs = jvm.java.util.ArrayList()
        for split, names in zip(splits, near, strict=True):
            listed = jvm.java.util.ArrayList()
            for name in names:
                listed.add(name)
            pairs.add(jvm.scala.Tuple2(serializer.dumps(split), convert(listed).toSeq()))
        of_bytes = jvm.scala.reflect.ClassTag.apply(jvm.java.lang.Class.forName("[B"))
        located = self._context._jsc.sc().makeRDD(convert(pairs).toSeq(), of_bytes)
        return RDD(located.toJavaRDD(), self._context, serializer)

    def _watch(self, group: str, total: int, advance: Callable[[int], object], finished: threading.Event) -> None:
        """Report finished tasks until the job ends."""
        while not finished.wait(_POLL_S):
            try:
                done = min(self._finished(group), total)
            except Py4JError:  # the JVM is gone: the job says so
                return
            if done > self._seen:
                advance(done - self._seen)
                self._seen = done

    def _finished(self, group: str) -> int:
        tracker = self._context.statusTracker()
        jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group)]
        stages = [tracker.getStageInfo(stage) for job in jobs if job for stage in job.stageIds]
        return sum(stage.numCompletedTasks for stage in stages if stage)


class _Guarded:
    """Returns a refusal instead of raising it: trying it three times more would not change it."""

    def __init__(self, task: Task[Any, Any]) -> None:
        self.task = task

    def __call__(self, split: object) -> object:
        _keep_archives()
        try:
            return self.task(split)
        except Unavailable:
            raise
        except ForetableError as error:
            return error


def _keep_archives() -> None:
    """Stop this worker from reading pyspark.zip anew before each task, once a package in it: about 0.4 s.

    Spark asks for it in case a file was added; archives do not change. Python 3.12 reads when it has to.
    """
    if sys.version_info < (3, 12):
        zipimport.zipimporter.invalidate_caches = lambda _: None  # type: ignore[assignment,method-assign]


def _start(builder: SparkSession.Builder) -> SparkContext:
    """Start a session, or take the one that is there, from a thread of its own.

    On the main thread pyspark would handle Ctrl-C itself, by a call to the JVM in the middle of an answer. Here a
    Ctrl-C waits until the JVM is up (the pool is left only then): one that outlives its driver's start stays for ever.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(builder.getOrCreate).result().sparkContext


def _laptop(builder: SparkSession.Builder, cores: int) -> SparkSession.Builder:
    """Set up a session that talks to nobody else: a laptop's host name may not resolve, and its log is of no use."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    options = {
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties')}",
    }
    for name, value in options.items():
        builder = builder.config(name, value)
    return builder.master(f"local[{cores},{ATTEMPTS}]")


def _cause(text: str) -> str:
    """Return what a Java exception is about: the last error that Python raised in it, or its first lines."""
    lines = [line.strip() for line in text.splitlines()]
    raised = [line.removeprefix(_RAISED) for line in lines if line.startswith(_RAISED)]
    return (raised[-1].removesuffix(".") if raised else " / ".join(lines[:3]))[:400]
