"""A scoring job whose registry, input and output are on one storage: started, held at a point, and looked at after."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

from engine.storage import open_storage
from tests.support.programs import ROOT, Finished, finish, start
from tests.support.score_data import GROUP_ROWS, encode, good_rows
from tests.support.synthetic import FINITE_NAME, publish_synthetic
from tests.support.waiting import wait_until

_HOLD = str(ROOT / "tests" / "support" / "hold_remote")
SPLITS = 8


@dataclass(frozen=True)
class StoredJob:
    """One job, over and over, into outputs of their own.

    Attributes:
        fresh: gives the URL of a place where nothing is yet, for a name.
        environment: what a client of the storage needs.
        registry: its URL.
        source: URL of the input, of ``SPLITS`` splits, one of which has rows for the quarantine.
    """

    fresh: Callable[[str], str]
    environment: Mapping[str, str]
    registry: str
    source: str

    @classmethod
    def prepare(cls, fresh: Callable[[str], str], environment: Mapping[str, str]) -> StoredJob:
        """Publish a release with a table, and write the input."""
        job = cls(fresh, environment, fresh("registry"), fresh("source"))
        publish_synthetic(job.registry)
        half = SPLITS // 2 * GROUP_ROWS
        bad = [{**row, "age": None} for row in good_rows(7, 2 * half - 7)]
        storage = open_storage(job.source)
        storage.create("a.parquet", encode("parquet", good_rows(half)))
        storage.create("b.parquet", encode("parquet", [*good_rows(half - 7, half), *bad]))
        return job

    def output(self) -> str:
        """Return the URL of an output that is not there yet, alone in its parent."""
        return f"{self.fresh('outputs')}/scores"

    def start(self, output: str, *more: str, **environment: str) -> Popen[str]:
        """Start the job on one worker, so that splits are scored one after the other."""
        places = ["--registry", self.registry, "--input", self.source, "--output", output]
        options = ["--runner", "local", "--workers", "1", "--split-rows", str(GROUP_ROWS), "--json"]
        command = [sys.executable, "-m", "foretable", "score", FINITE_NAME, *places, *options, *more]
        return start(*command, environment={**self.environment, **environment})

    def run(self, output: str, *more: str, **environment: str) -> Finished:
        """Run the job to its end, with ``more`` options."""
        return finish(self.start(output, *more, **environment))

    @contextmanager
    def held(self, output: str, scratch: Path, at: str, splits: int = 0, **environment: str) -> Iterator[Held]:
        """Start the job and give it as soon as it is held; see ``hold_remote/sitecustomize.py``."""
        reached = scratch / "reached"
        hold = {"PYTHONPATH": _HOLD, "HOLD_AT": at, "HOLD_SPLITS": str(splits), "HOLD_REACHED": str(reached)}
        driver = self.start(output, **hold, TEST_MARKER=str(reached), **environment)
        try:
            wait_until(lambda: reached.exists() or driver.poll() is not None, what=f"the job is at {at} {splits}")
            assert reached.exists(), driver.communicate()
            yield Held(driver, reached)
        finally:
            driver.kill()
            driver.communicate()


@dataclass(frozen=True)
class Held:
    """A job that is held: ``driver`` is its process, ``reached`` the file that says so."""

    driver: Popen[str]
    reached: Path

    @property
    def pid(self) -> int:
        """Of the process that is held."""
        return int(self.reached.read_text())

    def release(self) -> Finished:
        """Let the job go on, and wait for its end."""
        self.reached.with_suffix(".go").touch()
        return finish(self.driver)


def stored_content(output: str) -> dict[str, str]:
    """All that an output is: its files' digests, less the time of its manifest."""
    storage = open_storage(output)
    found = {
        file.path: hashlib.sha256(storage.read(file.path)).hexdigest()
        for file in storage.walk(hidden=True)
        if file.path != "_manifest.json"
    }
    manifest = json.loads(storage.read("_manifest.json"))
    del manifest["time"], manifest["sha256"]  # the seal covers the time
    return {**found, "_manifest.json": json.dumps(manifest)}


def visible(output: str) -> list[str]:
    """The names beside an output, its own too, that a reader takes for data."""
    parent = output.rpartition("/")[0]
    return [name for name in open_storage(parent).names() if not name.startswith("_")]


def staged(output: str) -> list[str]:
    """The paths of the splits that an unfinished run has made visible to its like."""
    parent = open_storage(output.rpartition("/")[0])
    return [
        file.path
        for file in parent.walk()
        if file.path.rpartition("/")[2].startswith("part-") and "_quarantine" not in file.path
    ]
