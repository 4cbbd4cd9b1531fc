"""Which letters are read to be listed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from streaming.clients.client import Client
from streaming.letters import actions
from streaming.letters.config import ListConfig
from streaming.record import Partition
from tests.support.letters import as_read, asked, letter
from tests.support.scripted_client import ScriptedClient

TIMES_MS = (1_000_000, 5_000_000, 3_000_000, 4_000_000)


class Watched(ScriptedClient):
    """Keeps where it was told to begin."""

    starts: Mapping[Partition, int]

    def read(self, starts: Mapping[Partition, int]) -> None:
        self.starts = starts
        super().read(starts)


@pytest.mark.parametrize(
    "since, start, listed",
    [
        (None, 0, ["0:0", "0:2", "0:3", "0:1"]),
        (-1e9, 0, ["0:0", "0:2", "0:3", "0:1"]),
        (1000.0, 0, ["0:0", "0:2", "0:3", "0:1"]),
        (3500.0, 1, ["0:3", "0:1"]),  # the third lies behind the first of them, and is earlier
        (5000.0, 1, ["0:1"]),
        (5000.001, 4, []),
    ],
)
def test_reading_begins_at_the_first_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    since: float | None,
    start: int,
    listed: list[str],
) -> None:
    made = [as_read(letter(asked("requests", place)), place, time_ms) for place, time_ms in enumerate(TIMES_MS)]
    client = Watched(made)

    @contextmanager
    def opened(*_: Any, **__: Any) -> Iterator[Client]:
        yield client

    monkeypatch.setattr(actions, "opened", opened)
    assert actions.list_letters(ListConfig(brokers="b", topic="dead", json=True, since=since)) == 0
    assert client.starts == {Partition("dead", 0): start}
    assert [one["letter"] for one in json.loads(capsys.readouterr().out)["letters"]] == listed
