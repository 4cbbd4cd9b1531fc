"""Scoring on YARN while executors, Python workers and the driver are killed: the bytes are those of one machine."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import STDOUT, Popen
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.storage import open_storage
from tests.support.hadoop import Hadoop
from tests.support.programs import BIN, ROOT, finish, foretable, start
from tests.support.score_data import good_rows
from tests.support.soak import chosen
from tests.support.spark_on_yarn import small_properties, spark_home
from tests.support.stored_job import staged, stored_content, visible
from tests.support.synthetic import FINITE_NAME, publish_synthetic
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.hadoop, pytest.mark.spark, pytest.mark.timeout(600)]

SPLITS, SPLIT_ROWS, EXECUTORS = 40, 2_000, 2
KILLS = [1, 8, 16, 24, 38]
_PROPERTIES = {
    "spark.executor.cores": "1",
    "spark.task.maxFailures": "4",
    # The tests kill more of them than a job may lose.
    "spark.yarn.max.executor.failures": "1000",
    "spark.executor.maxNumFailures": "1000",
    "spark.executorEnv.PYTHONPATH": str(ROOT),
}


@dataclass(frozen=True)
class Scorer:
    """One application, and the job that it does over and over; see ``tests/support/yarn_scorer.py``."""

    hadoop: Hadoop
    driver: Popen[bytes]
    folder: Path
    registry: str
    source: str

    def arguments(self, output: str) -> list[str]:
        """Return those of ``foretable score``."""
        places = ["--registry", self.registry, "--input", self.source, "--output", output]
        return [FINITE_NAME, *places, "--split-rows", str(SPLIT_ROWS), "--json"]

    def output(self) -> str:
        """Return the URL of an output that is not there yet, alone in its parent."""
        return f"{self.hadoop.fresh('outputs')}/scores"

    def ask(self, output: str, how: str = "plain", **more: object) -> Path:
        """Have the job done; return where the outcome will be."""
        number = len(list(self.folder.glob("*.json"))) + 1
        request = {"arguments": self.arguments(output), "how": how, **more}
        asked = self.folder / f"{number}.json"
        asked.with_suffix(".new").write_text(json.dumps(request))
        asked.with_suffix(".new").rename(asked)
        return asked.with_suffix(".done")

    def outcome(self, done: Path) -> Any:
        """Wait for a job's end."""
        self.wait_for(done.exists, what=f"there is {done.name}")
        return json.loads(done.read_text())

    def wait_for(self, condition: Any, *, what: str) -> None:
        """Wait, no longer than the driver lives."""
        wait_until(lambda: condition() or self.driver.poll() is not None, what=what, timeout_s=200)
        assert self.driver.poll() is None, (self.folder / "log").read_text()[-8000:]

    def executors(self) -> list[psutil.Process]:
        """The executors' JVMs that run a Python daemon or will."""
        application = (self.folder / "application").read_text()
        found = []
        for process in psutil.process_iter(["name", "cmdline"]):
            words = process.info["cmdline"] or []
            if (
                process.info["name"] == "java"
                and application in words
                and any("ExecutorBackend" in word for word in words)
            ):
                found.append(process)
        return found

    def workers(self) -> list[psutil.Process]:
        """The executors' Python workers: children of their daemons."""
        return [
            worker for executor in self.executors() for daemon in executor.children() for worker in daemon.children()
        ]


@contextmanager
def held(scorer: Scorer, output: str, folder: Path, after: int) -> Iterator[Path]:
    """Start a job; give where its outcome will be when ``after`` splits are visible and the next ones wait.

    Every second time these are written, and only not visible yet.
    """
    scorer.wait_for(lambda: len(scorer.executors()) == EXECUTORS, what="all executors are there")
    done = scorer.ask(output, "gated", folder=str(folder), after=after, written=after % 16 == 8)
    scorer.wait_for(lambda: (folder / "waiting").exists() or done.exists(), what=f"{after} splits are visible")
    assert not done.exists(), done.read_text()
    yield done
    (folder / "go").touch()


@pytest.fixture(scope="module")
def scorer(yarn: Hadoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scorer]:
    folder = tmp_path_factory.mktemp("scorer")
    registry, source = yarn.fresh("registry"), yarn.fresh("source")
    publish_synthetic(registry)
    table = pa.Table.from_pylist(good_rows(SPLITS * SPLIT_ROWS))
    open_storage(source).create_with(
        "rows.parquet", lambda file: pq.write_table(table, file, row_group_size=SPLIT_ROWS)
    )
    properties = {**small_properties(yarn), **_PROPERTIES}
    options = [part for name, value in properties.items() for part in ("--conf", f"{name}={value}")]
    program = str(ROOT / "tests" / "support" / "yarn_scorer.py")
    command = [str(BIN / "spark-submit"), "--master", "yarn", "--deploy-mode", "client", *options, program]
    with (folder / "log").open("wb") as log:  # more than a pipe holds
        driver = Popen(
            [*command, str(folder)],
            cwd=ROOT,
            env={**os.environ, **yarn.environment, "SPARK_HOME": str(spark_home()), "PYSPARK_PYTHON": sys.executable},
            stdout=log,
            stderr=STDOUT,
            start_new_session=True,
        )
    scorer = Scorer(yarn, driver, folder, registry, source)
    try:
        scorer.wait_for((folder / "application").exists, what="the application runs")
        yield scorer
        (folder / "stop").touch()
        driver.wait(60)
    finally:
        driver.kill()
        driver.wait()


@pytest.fixture(scope="module")
def undisturbed(scorer: Scorer) -> dict[str, str]:
    output = scorer.output()
    done = foretable("score", *scorer.arguments(output), "--runner", "local", environment=scorer.hadoop.environment)
    assert done.json()["computed"] == SPLITS
    return stored_content(output)


def check(outcome: Any, output: str, undisturbed: dict[str, str]) -> None:
    assert outcome.get("splits") == SPLITS, outcome
    assert outcome["runner"] == "spark"
    assert stored_content(output) == undisturbed
    assert open_storage(output.rpartition("/")[0]).names() == ["scores"]


def test_undisturbed(scorer: Scorer, undisturbed: dict[str, str]) -> None:
    output = scorer.output()
    check(scorer.outcome(scorer.ask(output)), output, undisturbed)


@pytest.mark.parametrize("after", chosen(KILLS))
def test_a_killed_executor(after: int, scorer: Scorer, undisturbed: dict[str, str], tmp_path: Path) -> None:
    output = scorer.output()
    with held(scorer, output, tmp_path, after) as done:
        assert visible(output) == []
        scorer.executors()[0].kill()
    check(scorer.outcome(done), output, undisturbed)


@pytest.mark.parametrize("after", chosen(KILLS))
def test_a_killed_python_worker(after: int, scorer: Scorer, undisturbed: dict[str, str], tmp_path: Path) -> None:
    output = scorer.output()
    with held(scorer, output, tmp_path, after) as done:
        workers = scorer.workers()
        workers[0].kill()
    check(scorer.outcome(done), output, undisturbed)


def test_every_tenth_task_fails(scorer: Scorer, undisturbed: dict[str, str], tmp_path: Path) -> None:
    output = scorer.output()
    check(scorer.outcome(scorer.ask(output, "failing", folder=str(tmp_path))), output, undisturbed)
    assert len(list(tmp_path.glob("*.failed"))) == SPLITS / 10


def test_each_split_is_scored_twice_at_once(scorer: Scorer, undisturbed: dict[str, str], tmp_path: Path) -> None:
    output = scorer.output()
    check(scorer.outcome(scorer.ask(output, "twins", folder=str(tmp_path))), output, undisturbed)


def test_a_killed_driver(scorer: Scorer, undisturbed: dict[str, str], tmp_path: Path) -> None:
    output = scorer.output()
    lines = [f"{name} {value}" for name, value in small_properties(scorer.hadoop).items()]
    (tmp_path / "spark-defaults.conf").write_text("\n".join(lines))
    driver = start(
        *(str(BIN / "foretable"), "score", *scorer.arguments(output), "--runner", "spark", "--master", "yarn"),
        environment={
            **scorer.hadoop.environment,
            "SPARK_HOME": str(spark_home()),
            "SPARK_CONF_DIR": str(tmp_path),
            "PYSPARK_PYTHON": sys.executable,
        },
    )
    try:
        wait_until(lambda: staged(output) or driver.poll() is not None, what="a split is visible", timeout_s=120)
    finally:
        os.kill(driver.pid, signal.SIGKILL)
    ended = finish(driver)
    assert ended.code == -signal.SIGKILL, ended.err
    assert visible(output) == []
    outcome = scorer.outcome(scorer.ask(output))
    assert outcome["computed"] < SPLITS
    check(outcome, output, undisturbed)
