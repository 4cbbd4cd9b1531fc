"""The members of one group, each a real process, by the names of their instances."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Self

from tests.support.stream_process import StreamProcess
from tests.support.stream_topics import Topics
from tests.support.waiting import wait_until

_RECORDS, _PARTITIONS = "foretable_stream_records_total", "foretable_stream_partitions"


class Members:
    """Starts and ends members; none is left after the context."""

    def __init__(self, topics: Topics, registry: Path, folder: Path, *options: str) -> None:
        """Start none yet."""
        self._topics, self._registry, self._folder, self._options = topics, registry, folder, options
        self._running: dict[str, StreamProcess] = {}
        self._older: list[StreamProcess] = []

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill those that are left."""
        for process in (*self._running.values(), *self._older):
            process.__exit__()

    def begin(self, name: str, *options: str) -> StreamProcess:
        """Start an instance, and do not wait for it. One of its name that runs is left to its fate."""
        if name in self._running:
            self._older.append(self._running[name])
        process = self._topics.stream(self._registry, self._folder, *self._options, *options, instance=name)
        self._running[name] = process
        return process

    def start(self, name: str, *options: str) -> StreamProcess:
        """Start an instance, and wait until it takes part."""
        return self.begin(name, *options).__enter__()

    def __getitem__(self, name: str) -> StreamProcess:
        """Return the newest process of this name."""
        return self._running[name]

    def end(self, name: str, number: signal.Signals) -> int:
        """End an instance by a signal; return its exit code."""
        return self._running.pop(name).stop(number)

    def records(self, name: str) -> float:
        """Return how many requests it has committed."""
        return self[name].metric(_RECORDS)

    def wait_for_records(self, name: str, more: int, *, timeout_s: float = 90) -> None:
        """Wait until it has committed so many more."""
        wanted = self.records(name) + more
        wait_until(lambda: self.records(name) >= wanted, what=f"{name} commits {more} more", timeout_s=timeout_s)

    def revive(self, name: str) -> bool:
        """Start an instance again that has ended with 75, as who watches over it would; return whether it had."""
        code = self[name].process.poll()
        assert code in {None, 75}, self[name].log
        if code is not None:
            self.end(name, signal.SIGTERM)
            self.start(name)
        return code is not None

    def wait_for_partitions(self, name: str, least: int) -> None:
        """Wait until it has so many partitions at least."""
        wait_until(lambda: self[name].metric(_PARTITIONS) >= least, what=f"{name} has {least} partitions", timeout_s=90)
