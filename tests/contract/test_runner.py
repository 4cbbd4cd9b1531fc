"""What every runner promises, run against each."""

from __future__ import annotations

import gc
import os
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.errors import BadArtifact, InvalidInput, Unavailable
from engine.program import BUG
from engine.registry import Registry
from jobs.local_runner import LocalRunner
from jobs.precompute import PrecomputeSettings, precompute
from jobs.runner import ATTEMPTS, FileRange, Runner
from tests.support.candidates import models_of, wide_contents
from tests.support.inline_runner import InlineRunner
from tests.support.programs import finish, processes_of, start
from tests.support.runner_tasks import Down, Dying, Failing, FailingOnce, Hopeless, Refusing, Square
from tests.support.synthetic import FINITE_NAME
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SPLITS = list(range(7))


def build(root: Path, runner: Runner, codec: str, variant: str) -> dict[str, bytes]:
    """Precompute the table of a model with two variants and return its shards' bytes by path."""
    models_of(root).write_bundle(wide_contents())
    settings = PrecomputeSettings(
        model=FINITE_NAME, codec=codec, variant=variant, shard_rows=1, override="a test does not time", quiet=True
    )
    done = precompute(Registry(str(root)), settings, lambda: runner)
    folder = models_of(root).table_path(done.table)
    return {f"{folder}/{path.name}": path.read_bytes() for path in sorted((root / folder).glob("*.dense"))}


class RunnerContract(ABC):
    """The suite; a subclass gives the ``runner``."""

    @pytest.fixture
    @abstractmethod
    def runner(self) -> Runner: ...

    def test_runs_every_split_once(self, runner: Runner) -> None:
        assert sorted(runner.run(Square(), SPLITS, lambda _: None)) == [0, 1, 4, 9, 16, 25, 36]

    def test_takes_splits_as_they_are_numbered(self, runner: Runner) -> None:
        assert sorted(runner.run(Square(), [5, 2, 11], lambda _: None)) == [4, 25, 121]

    def test_no_split_is_no_work(self, runner: Runner) -> None:
        told: list[int] = []
        assert runner.run(Square(), [], told.append) == []
        assert sum(told) == 0

    def test_progress_adds_up(self, runner: Runner) -> None:
        told: list[int] = []
        runner.run(Square(), SPLITS, told.append)
        assert sum(told) == len(SPLITS)
        assert min(told) >= 0

    def test_an_error_of_a_task_arrives_as_such(self, runner: Runner) -> None:
        with pytest.raises(InvalidInput) as caught:
            runner.run(Failing(3, "input"), SPLITS, lambda _: None)
        assert str(caught.value) == "feature 'city' must be known; got 'Nowhere' at split 3. Fix the row"
        assert (caught.value.cause, caught.value.feature) == ("unknown_category", "city")

    def test_an_error_keeps_its_class(self, runner: Runner) -> None:
        with pytest.raises(BadArtifact, match="at split 6"):
            runner.run(Failing(6, "artifact"), SPLITS, lambda _: None)

    def test_the_first_refusal_ends_the_run(self, runner: Runner, tmp_path: Path) -> None:
        with pytest.raises(BadArtifact, match="split 0 is damaged"):
            runner.run(Refusing(str(tmp_path)), range(2000), lambda _: None)
        assert len(list(tmp_path.iterdir())) < 1000

    def test_what_may_be_tried_again_says_why(self, runner: Runner) -> None:
        with pytest.raises(Unavailable, match=r"got 'Nowhere' at split 0\. Fix the row"):
            runner.run(Failing(0, "unavailable"), SPLITS, lambda _: None)

    def test_a_bug_of_a_task_is_none_of_the_storage(self, runner: Runner) -> None:
        with pytest.raises(Exception, match="got 'Nowhere' at split 3") as caught:
            runner.run(Failing(3, "bug"), SPLITS, lambda _: None)
        assert getattr(caught.value, "exit_code", BUG) == BUG

    @pytest.mark.parametrize("splits", [[2], SPLITS])
    def test_a_split_that_always_fails_is_tried_four_times(
        self, runner: Runner, splits: list[int], tmp_path: Path
    ) -> None:
        with pytest.raises(Unavailable, match="the storage is down"):
            runner.run(Hopeless(2, str(tmp_path)), splits, lambda _: None)
        assert len(list(tmp_path.iterdir())) == ATTEMPTS == 4

    def test_progress_after_an_error_does_not_claim_the_rest(self, runner: Runner) -> None:
        told: list[int] = []
        with pytest.raises(Unavailable):
            runner.run(Failing(0, "unavailable"), [0], told.append)
        assert sum(told) == 0

    def test_a_killed_worker_is_unavailable_and_the_runner_works_on(self, runner: Runner) -> None:
        with pytest.raises(Unavailable, match="What was finished is kept: run again") as caught:
            runner.run(Dying(2), SPLITS, lambda _: None)
        assert caught.value.exit_code == 75
        assert sorted(runner.run(Square(), [1, 2], lambda _: None)) == [1, 4]

    @pytest.mark.parametrize("kind", ["unavailable", "killed"])
    def test_a_split_that_fails_once_is_tried_again(self, runner: Runner, kind: str, tmp_path: Path) -> None:
        told: list[int] = []
        task = FailingOnce(2, kind, str(tmp_path))
        assert sorted(runner.run(task, SPLITS, told.append)) == SPLITS
        assert (tmp_path / "2.tried").exists()
        assert sum(told) == len(SPLITS)

    def test_a_storage_that_is_down_is_not_asked_for_every_split(self, runner: Runner, tmp_path: Path) -> None:
        with pytest.raises(Unavailable, match="the storage is down"):
            runner.run(Down(str(tmp_path)), range(100), lambda _: None)
        assert len(list(tmp_path.iterdir())) < 50

    @pytest.mark.parametrize("url", ["hdfs://nowhere.invalid/file", "file:///nowhere/file"])
    def test_what_a_split_reads_is_a_hint(self, runner: Runner, url: str) -> None:
        found = runner.run(
            Square(), SPLITS, lambda _: None, ranges=lambda split: [FileRange(url, 0, 1)] if split % 2 else []
        )
        assert sorted(found) == [0, 1, 4, 9, 16, 25, 36]

    @pytest.mark.parametrize(
        "codec, variant", [("float32", "float32"), ("float16", "float32"), ("uint8", "float32"), ("float32", "int8")]
    )
    def test_writes_the_same_bytes_as_one_process(
        self, runner: Runner, codec: str, variant: str, tmp_path: Path
    ) -> None:
        wanted = build(tmp_path / "inline", InlineRunner(), codec, variant)
        assert len(wanted) >= 2
        assert build(tmp_path / "here", runner, codec, variant) == wanted


class TestLocalRunner(RunnerContract):
    @pytest.fixture
    def runner(self) -> Runner:
        return LocalRunner(2)

    def test_no_process_outlives_a_killed_driver(self, tmp_path: Path) -> None:
        program = (
            "import sys; from jobs.local_runner import LocalRunner; from tests.support.runner_tasks import Stuck\n"
            "if __name__ == '__main__': LocalRunner(2).run(Stuck(sys.argv[1]), [0, 1, 2], print)"
        )
        marker = str(tmp_path)
        driver = start(sys.executable, "-c", program, str(tmp_path), environment={"TEST_MARKER": marker})
        wait_until(lambda: len(list(tmp_path.glob("*.pid"))) == 2, what="both workers are at work")
        workers = [int(path.stem) for path in tmp_path.glob("*.pid")]
        assert set(workers) < set(processes_of(marker))
        os.kill(driver.pid, signal.SIGKILL)
        finish(driver)
        wait_until(lambda: not processes_of(marker), what="all processes of the driver are gone", timeout_s=10)


@pytest.mark.spark
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # pyspark leaves its sockets to the collector
class TestSparkRunner(RunnerContract):
    @pytest.fixture
    def runner(self, spark: SparkSession) -> Iterator[Runner]:
        from jobs.spark_runner import SparkRunner

        yield SparkRunner(None, 2)  # in the session that is there
        gc.collect()  # while the warning is ignored
