"""A program for ``spark-submit`` that scores what it is asked to, one job after the other, in one application.

It takes a folder. The arguments of ``foretable score``, and how its splits fare, are in ``1.json``, ``2.json``, …; what
came of them goes to ``1.done``, …; the file ``stop`` ends it. ``application`` says which application it is.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from engine.errors import ForetableError, Unavailable
from engine.registry import Registry
from engine.stores.hdfs import HdfsStore
from jobs.runner import Ranges, Runner, Task
from jobs.score import parser, settings_of
from jobs.scoring.job import score
from jobs.scoring.split import Split
from jobs.scoring.split_done import SplitDone
from jobs.spark_runner import SparkRunner

_POLL_S = 0.02


@dataclass(frozen=True)
class Gated:
    """Has splits wait, once ``after`` are finished, until the file ``go`` is in ``folder``.

    Attributes:
        task: what is done with a split.
        folder: where a file for each finished split goes, and ``waiting`` when one waits.
        after: how many splits are not held up.
        written: the split waits when its file is written and not visible yet, instead of before all work.
    """

    task: Task[Split, SplitDone]
    folder: str
    after: int
    written: bool

    def __call__(self, split: Split, /) -> SplitDone:
        if self.written:
            rename = HdfsStore._rename

            def held(store: HdfsStore, temporary: str, target: str) -> None:
                self._wait()
                rename(store, temporary, target)

            with mock.patch.object(HdfsStore, "_rename", held):
                done = self.task(split)
        else:
            self._wait()
            done = self.task(split)
        (Path(self.folder) / f"{split.key}.finished").touch()
        return done

    def _wait(self) -> None:
        folder = Path(self.folder)
        while len(list(folder.glob("*.finished"))) >= self.after and not (folder / "go").exists():
            (folder / "waiting").touch()
            time.sleep(_POLL_S)


@dataclass(frozen=True)
class FailingOnce:
    """Has every tenth split fail the first time, as when the storage is down for a moment.

    Attributes:
        task: what is done with a split.
        folder: where a file for each failure goes.
        keys: of the splits that fail.
    """

    task: Task[Split, SplitDone]
    folder: str
    keys: frozenset[str]

    def __call__(self, split: Split, /) -> SplitDone:
        failed = Path(self.folder) / f"{split.key}.failed"
        if split.key in self.keys and not failed.exists():
            failed.touch()
            message = "the storage is down. Try again"
            raise Unavailable(message)
        return self.task(split)


@dataclass
class Faring:
    """A runner whose splits fare as a request says."""

    runner: Runner
    request: dict[str, Any]
    name: str = "spark"

    def run(
        self,
        task: Task[Any, Any],
        splits: Sequence[Any],
        advance: Callable[[int], object],
        *,
        ranges: Ranges[Any] | None = None,
    ) -> list[Any]:
        """Run all splits; see ``jobs.runner.Runner``."""
        how, folder = self.request["how"], self.request.get("folder", "")
        if how == "gated":
            task = Gated(task, folder, self.request["after"], self.request["written"])
        elif how == "failing":
            task = FailingOnce(task, folder, frozenset(split.key for split in splits[::10]))
        elif how == "twins":  # as speculative execution does, which Spark does on several hosts only
            splits = [split for split in splits for _ in range(2)]
        done = self.runner.run(task, splits, advance, ranges=ranges)
        return list({split.file.path: split for split in sorted(done, key=lambda split: split.computed)}.values())


def main(folder: Path) -> None:
    """Work until told to stop."""
    runner = SparkRunner(None, 2)
    _write(folder / "application", runner._context.applicationId)
    number = 1
    while not (folder / "stop").exists():
        asked = folder / f"{number}.json"
        if not asked.exists():
            time.sleep(_POLL_S)
            continue
        _write(asked.with_suffix(".done"), json.dumps(_outcome(runner, json.loads(asked.read_text()))))
        number += 1


def _outcome(runner: Runner, request: dict[str, Any]) -> dict[str, Any]:
    arguments = parser().parse_args(request["arguments"])
    try:
        return asdict(score(Registry(arguments.registry), settings_of(arguments), lambda: Faring(runner, request)))
    except ForetableError as error:
        return {"code": error.exit_code, "message": str(error)}


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}")
    beside.write_text(text)
    beside.rename(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
