"""The Spark runner: Spark schedules, and rows never cross the JVM."""

from __future__ import annotations

import os
import sys
import threading
import traceback
import zipimport
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from py4j.protocol import Py4JError, Py4JJavaError  # type: ignore[import-untyped]
from pyspark import RDD, Accumulator, AccumulatorParam, SparkContext
from pyspark.errors import PySparkException
from pyspark.serializers import CPickleSerializer
from pyspark.sql import SparkSession

from engine.errors import BadSettings, EngineBug, ForetableError, Unavailable
from jobs.block_hosts import near_hosts
from jobs.code_digest import check_code, code_digest
from jobs.runner import ATTEMPTS, FileRange, Ranges, Task

S = TypeVar("S")
R = TypeVar("R")
Refusals = Accumulator[list[ForetableError]]
_POLL_S = 0.2
# How an executor's traceback begins the line of an error that is worth a new try.
_RAISED = "engine.errors.Unavailable: "
# Below the directory of an executor, where the archive is unpacked under its name after the #.
_ARCHIVE_PYTHON = "foretable/bin/python"
_LOG_OPTION = f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties')}"


class SparkRunner:
    """Runs splits as tasks of one Spark job, on any master."""

    name = "spark"

    def __init__(self, master: str | None, cores: int, executor_archive: str | None = None) -> None:
        """Start a session, or take the one that is there.

        Args:
            master: Spark's master URL; None leaves it to spark-submit, or takes ``local[cores]``.
            cores: of a local master.
            executor_archive: path or URL of what ``jobs.pack`` wrote; it is shipped to the executors of ``master``,
                whose Python it is then. None takes the Python that PYSPARK_PYTHON says.

        Raises:
            BadSettings: the session is there and ships what it ships, or a setting of the cluster is missing.
            Unavailable: the master does not answer.
        """
        builder = SparkSession.builder.appName("foretable").config("spark.ui.showConsoleProgress", "false")
        fresh = not SparkContext._active_spark_context and "PYSPARK_GATEWAY_PORT" not in os.environ
        if executor_archive and not fresh:
            message = (
                "--executor-archive must be for a session that this program starts; got one that was there. With "
                "spark-submit, give --archives FILE#foretable and PYSPARK_PYTHON=foretable/bin/python"
            )
            raise BadSettings(message)
        if master:
            builder = builder.master(master)
            if fresh:
                builder = _cluster(builder, master, executor_archive)
        elif fresh:
            builder = _laptop(builder, cores)  # neither a session nor spark-submit has chosen a master
        self._context = _start(builder)

    def run(
        self,
        task: Task[S, R],
        splits: Sequence[S],
        advance: Callable[[int], object],
        *,
        ranges: Ranges[S] | None = None,
    ) -> list[R]:
        """Run all splits; see ``jobs.runner.Runner``."""
        if not splits:
            return []
        group = f"foretable-{id(task)}"
        self._seen = 0  # finished splits that were reported
        refusals: Refusals = self._context.accumulator([], _Refusals())
        finished = threading.Event()
        watcher = threading.Thread(
            target=self._watch, args=(group, len(splits), advance, refusals, finished), daemon=True
        )
        watcher.start()
        try:
            results: list[R] = self._collect(group, _Guarded(task, refusals), splits, ranges)
        except Py4JJavaError as error:
            if refusals.value:  # which the watcher cancelled the job for
                raise refusals.value[0] from None
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
        if refusals.value:
            raise refusals.value[0]
        advance(len(splits) - self._seen)
        return results

    def _collect(self, group: str, task: _Guarded, splits: Sequence[S], ranges: Ranges[S] | None) -> list[Any]:
        """Run the job on a thread of its own: a Ctrl-C must not fall into the middle of an answer of the JVM."""

        def job() -> list[Any]:
            self._context.setJobGroup(group, f"foretable: {len(splits)} splits")
            return list(self._spread(splits, ranges).map(task).collect())

        with ThreadPoolExecutor(1) as pool:
            try:
                return pool.submit(job).result()
            except KeyboardInterrupt:
                self._context.cancelJobGroup(group)
                raise

    def _spread(self, splits: Sequence[S], ranges: Ranges[S] | None) -> RDD[S]:
        """Return the splits as a data set of one partition each, near what they read where that is known."""
        near = near_hosts([ranges(split) for split in splits], self._locate) if ranges else []
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

    def _locate(self, wanted: FileRange) -> list[str]:
        """Return the blocks of a range, for ``held_bytes``: hdfs-native cannot tell them, the JVM's client can."""
        if not wanted.url.startswith("hdfs://"):
            return []
        jvm: Any = self._context._jvm
        jsc: Any = self._context._jsc
        try:
            path = jvm.org.apache.hadoop.fs.Path(wanted.url)
            files = path.getFileSystem(jsc.hadoopConfiguration())
            blocks = files.getFileBlockLocations(path, wanted.start, wanted.size_bytes)
            return [block.toString() for block in blocks]  # one call, where each of its fields would be one
        except (Py4JJavaError, PySparkException):  # a hint is lost; the task itself says what is wrong with the file
            return []

    def _watch(
        self,
        group: str,
        total: int,
        advance: Callable[[int], object],
        refusals: Refusals,
        finished: threading.Event,
    ) -> None:
        """Report finished tasks until the job ends, and end it at the first refusal."""
        while not finished.wait(_POLL_S):
            try:
                if refusals.value:
                    self._context.cancelJobGroup(group)
                    return
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


class _Refusals(AccumulatorParam[list[ForetableError]]):
    """What tasks refused, in the order in which the driver heard of it: before it has the results."""

    def zero(self, value: list[ForetableError]) -> list[ForetableError]:  # noqa: ARG002 - Spark's
        return []

    def addInPlace(  # noqa: N802 - Spark's
        self, value1: list[ForetableError], value2: list[ForetableError]
    ) -> list[ForetableError]:
        return [*value1, *value2]


class _Guarded:
    """Tells the driver of a refusal, or a bug, and does not raise it: Spark would try it three times more."""

    def __init__(self, task: Task[Any, Any], refusals: Refusals) -> None:
        self.task, self.refusals, self.code = task, refusals, code_digest()

    def __call__(self, split: object) -> object:
        keep_archives()
        try:
            check_code(self.code)
            return self.task(split)
        except (Unavailable, OSError, MemoryError):  # of this host, or of now
            raise
        except ForetableError as error:
            self.refusals.add([error])
        except Exception as error:
            bug = EngineBug(f"a split must end with an error of ours; got {type(error).__name__}: {error}. Report it")
            bug.add_note(traceback.format_exc())
            self.refusals.add([bug])
        return None


def keep_archives() -> None:
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
        try:
            return pool.submit(builder.getOrCreate).result().sparkContext
        except (Py4JJavaError, PySparkException) as error:
            message = f"Spark could not start: {_cause(str(error))}. Try again when its master answers"
            raise Unavailable(message) from error


def _cluster(builder: SparkSession.Builder, master: str, executor_archive: str | None) -> SparkSession.Builder:
    """Set up a session on a cluster; what is not said here stays as the cluster's own configuration has it."""
    on_yarn = master.startswith("yarn")
    if on_yarn and not {"HADOOP_CONF_DIR", "YARN_CONF_DIR"} & os.environ.keys():
        message = "master yarn: HADOOP_CONF_DIR must name the directory of yarn-site.xml; it is not set. Set it"
        raise BadSettings(message)
    if "SPARK_CONF_DIR" not in os.environ and not master.startswith("local"):
        builder = builder.config("spark.driver.extraJavaOptions", _LOG_OPTION)
    if executor_archive:
        if "://" not in executor_archive and not Path(executor_archive).is_file():
            message = (
                f"--executor-archive must be a file that `foretable pack` wrote, or its URL; got {executor_archive!r}"
            )
            raise BadSettings(message)
        # YARN itself unpacks the one, beside the container; the other would do it once more for each executor.
        name = "spark.yarn.dist.archives" if on_yarn else "spark.archives"
        builder = builder.config(name, f"{executor_archive}#foretable")
        os.environ["PYSPARK_PYTHON"] = _ARCHIVE_PYTHON
    return builder


def _laptop(builder: SparkSession.Builder, cores: int) -> SparkSession.Builder:
    """Set up a session that talks to nobody else: a laptop's host name may not resolve, and its log is of no use."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    options = {
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.driver.extraJavaOptions": _LOG_OPTION,
    }
    for name, value in options.items():
        builder = builder.config(name, value)
    return builder.master(f"local[{cores},{ATTEMPTS}]")


def _cause(text: str) -> str:
    """Return what a Java exception is about: the last error that Python raised in it, or its first lines."""
    lines = [line.strip() for line in text.splitlines()]
    raised = [line.removeprefix(_RAISED) for line in lines if line.startswith(_RAISED)]
    return (raised[-1].removesuffix(".") if raised else " / ".join(lines[:3]))[:400]
