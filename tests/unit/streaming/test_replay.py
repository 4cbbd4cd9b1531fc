"""A replay, over a client that fails where a test says so."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from engine.errors import Unavailable
from streaming.clients.client import Aborted, TooLarge
from streaming.letters.replay import TOO_LARGE, Replay, Sorting, Tally
from streaming.letters.selection import Selection
from streaming.record import Outgoing, Partition, Record
from tests.support.letters import as_read, asked, letter
from tests.support.scripted_client import ScriptedClient


def letters(count: int, disposition: str = "transient") -> list[Record]:
    return [as_read(letter(asked("requests", number), disposition=disposition), number) for number in range(count)]


def replay(client: ScriptedClient, *, stop: threading.Event | None = None, batch_records: int = 2) -> Replay:
    """Run a replay of transient letters to its end."""
    made = Replay(
        client, "dead", Sorting(client, Selection(dispositions=("transient",)), None), batch_records=batch_records
    )
    made.run(client.bounds("dead"), lambda _: None, stop or Instant())
    return made


class Instant(threading.Event):
    """Is never set, and waits for nothing."""

    def wait(self, timeout: float | None = None) -> bool:
        return False


class Failing:
    """Raises at the steps of one name whose numbers are given."""

    def __init__(self, name: str, error: Exception, numbers: Sequence[int]) -> None:
        self._name, self._error, self._numbers, self._count = name, error, set(numbers), 0

    def __call__(self, name: str) -> None:
        if name == self._name:
            self._count += 1
            if self._count in self._numbers:
                raise self._error


@pytest.mark.parametrize("step", ["poll", "begin", "send", "commit", "rewind", "abort"])
@pytest.mark.parametrize("error", [Unavailable("away"), Aborted("gone")])
def test_each_letter_once_whatever_fails(step: str, error: Exception) -> None:
    failing = Failing(step, error, [1, 3])
    also = Failing("commit", Unavailable("too"), [2])  # so that there is something to abort

    def at(name: str) -> None:
        failing(name)
        also(name)

    client = ScriptedClient(letters(7), at)
    made = replay(client)
    assert [outgoing.key for outgoing in client.committed] == [b"k%d" % number for number in range(7)]
    assert made.tally.sent == Counter({"requests": 7})


def test_a_commit_whose_answer_was_lost_counts() -> None:
    class Forgetful(ScriptedClient):
        commits = 0

        def commit(self, offsets: Mapping[Partition, int]) -> None:
            super().commit(offsets)
            self.commits += 1
            if self.commits in {1, 4}:  # the first, and the last
                message = "no answer"
                raise Unavailable(message)

    client = Forgetful(letters(7))
    assert replay(client).tally.sent == Counter({"requests": 7})
    assert len(client.committed) == 7


def test_it_gives_up_at_last_and_tells_what_was_done() -> None:
    client = ScriptedClient(letters(7), Failing("commit", Unavailable("away"), range(2, 99)))
    made = Replay(client, "dead", Sorting(client, Selection(), None), batch_records=2)
    with pytest.raises(Unavailable, match="away"):
        made.run(client.bounds("dead"), lambda _: None, Instant())
    assert made.tally.sent == Counter({"requests": len(client.committed)}) == Counter({"requests": 2})


def test_what_comes_while_it_runs_is_left() -> None:
    client = ScriptedClient(letters(5))
    made = Replay(client, "dead", Sorting(client, Selection(), None), batch_records=2)
    made.run({Partition("dead", 0): (0, 3)}, lambda _: None, Instant())
    assert [outgoing.key for outgoing in client.committed] == [b"k0", b"k1", b"k2"]
    assert client.offsets == {Partition("dead", 0): 3}


def test_it_stops_between_two_transactions() -> None:
    stop = threading.Event()
    client = ScriptedClient(letters(7), lambda name: stop.set() if name == "commit" else None)
    assert replay(client, stop=stop).tally.sent == Counter({"requests": 2})
    assert client.offsets == {Partition("dead", 0): 2}


def test_all_are_passed_and_only_the_chosen_sent() -> None:
    mixed = letters(2) + [record._replace(offset=record.offset + 2) for record in letters(3, "poison")]
    client = ScriptedClient(mixed)
    made = replay(client)
    assert (made.tally.sent.total(), made.tally.passed) == (2, 3)
    assert client.offsets == {Partition("dead", 0): 5}


def test_a_letter_that_is_too_large_now_is_told() -> None:
    class Narrow(ScriptedClient):
        def send(self, *records: Outgoing) -> None:
            if any(record.key == b"k1" for record in records):
                message = "too large"
                raise TooLarge(message)
            super().send(*records)

    client = Narrow(letters(3))
    assert replay(client).tally.to_json() == {
        "sent": {"requests": 2},
        "passed_over": 0,
        "not_replayable": {TOO_LARGE: 1},
    }


def test_a_partition_that_goes_and_comes_back_is_read_from_its_commit() -> None:
    here, polls = Partition("dead", 0), iter(range(99))

    def at(name: str) -> None:
        if name == "poll" and next(polls) in {0, 2}:
            client.give_away_and_back(here)

    client = ScriptedClient(letters(3), at)
    assert replay(client, batch_records=1).tally.sent.total() == 3
    assert [outgoing.key for outgoing in client.committed] == [b"k0", b"k1", b"k2"]


def test_a_tally_in_words() -> None:
    tally = Tally()
    assert tally.text(dry=False) == "0 letters sent"
    tally.sent["a"], tally.passed, tally.kept_back["it is redacted"] = 2, 3, 1
    assert tally.text(dry=True).splitlines() == [
        "2 letters would be sent to a",
        "3 would be passed over: of other dispositions",
        "1 cannot be sent again: it is redacted",
    ]
