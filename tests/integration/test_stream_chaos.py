"""A stream whose members and broker are killed, paused, fenced and replaced while requests come, with both clients.

In a test run a few times; ``make soak-stream`` kills 100 members of each client. What is broken, when and in which
order is drawn from a seed, which is printed: ``SOAK_SEED`` takes it again.
"""

from __future__ import annotations

import itertools
import os
import random
import secrets
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from streaming.clients.client import CLIENTS
from tests.support.kafka import Kafka
from tests.support.stream_feed import Feed
from tests.support.stream_ledger import Ledger
from tests.support.stream_members import Members
from tests.support.stream_topics import Topics
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kafka

PARTITIONS = 4
KILLS = int(os.environ.get("SOAK_STREAM", "4"))
# Between two settlements; in each phase everything else is broken once, too.
KILLS_A_PHASE = 20
RECORDS_A_S = 200
# Few records a transaction make many transactions; a short session has the group notice what was killed.
OPTIONS = ("--batch-records", "20", "--session-s", "2")
# A transaction takes some 30 ms here. How far one has come cannot be asked for from without, so a kill comes a random
# part of that after records were seen to be committed: then it strikes each step of a transaction, in the long run.
JITTER_S = 0.05
# Of what a member takes from its start to its first transaction.
STARTING_S = 3.0


class Chaos:
    """Breaks what a stream of two members stands on; each method returns what it did."""

    def __init__(self, kafka: Kafka, members: Members, seed: int) -> None:
        self._kafka, self._members, self._random = kafka, members, random.Random(seed)

    def phase(self, kills: int) -> list[Callable[[], str]]:
        """Return what to break, in random order."""
        others = [self.add_and_remove, self.stop_broker, self.pause_past_session, self.fence]
        found: list[Callable[[], str]] = [*[self.kill] * kills, *others]
        self._random.shuffle(found)
        return found

    def kill(self) -> str:
        """Kill a member at a random point of its work, and start it again."""
        name, static = self._random.choice("ab"), self._random.choice(("true", "false"))
        if self._random.random() < 0.2:
            self._members.end(name, signal.SIGKILL)
            self._members.begin(name)
            self._wait_randomly(STARTING_S)
            at = "while it started"
        else:
            more = self._random.randrange(1, 80)
            self._members.wait_for_records(name, more)
            self._wait_randomly(JITTER_S)
            at = f"after {more} records"
        assert self._members.end(name, signal.SIGKILL) == -signal.SIGKILL
        self._members.start(name, "--static", static)
        return f"killed {name} {at}, back as a {'static' if static == 'true' else 'dynamic'} member"

    def add_and_remove(self) -> str:
        """Have a third member take part for a while, in the midst of the others' transactions."""
        self._members.start("c")
        self._members.wait_for_records("c", self._random.randrange(1, 40))
        self._wait_randomly(JITTER_S)
        if self._random.random() < 0.5:
            self._members.end("c", signal.SIGKILL)
            self._members.start("c")  # or its transaction would stay open for a minute
        assert self._members.end("c", signal.SIGTERM) == 0
        return "added c and removed it"

    def stop_broker(self) -> str:
        """Kill the broker, and start it again.

        It is not stopped as an operator would: a broker that is its own controller and hands its partitions to nobody
        may count a transaction's markers as written then (as of Kafka 4.3.1), and its offsets stay undecided for ever.
        """
        with self._kafka.without_broker():
            self._wait_randomly(JITTER_S)
        # A broker that was killed may know a static member only as it was before its restart, and fences the new one.
        wait_until(lambda: self._goes_on("a") and self._goes_on("b"), what="both commit again", timeout_s=90)
        return "killed the broker"

    def _goes_on(self, name: str) -> bool:
        """Whether a member commits; it is started again where it has ended by itself."""
        if self._members.revive(name):
            return False
        try:
            self._members.wait_for_records(name, 1, timeout_s=5)
        except (OSError, TimeoutError):  # it ends just now, or is not so far
            return False
        return True

    def pause_past_session(self) -> str:
        """Stop a member until the other has all partitions; let it go on with what it had in hand."""
        paused, other = self._random.sample("ab", 2)
        self._members.wait_for_records(paused, self._random.randrange(1, 40))
        self._wait_randomly(JITTER_S)
        self._members[paused].process.send_signal(signal.SIGSTOP)
        try:
            self._members.wait_for_partitions(other, PARTITIONS)
        finally:
            self._members[paused].process.send_signal(signal.SIGCONT)
        self._members.wait_for_records(paused, 1)
        return f"paused {paused} until {other} had all partitions"

    def fence(self) -> str:
        """Start a second process of the same name: the older ends."""
        name = self._random.choice("ab")
        older = self._members[name]
        self._members.start(name)
        assert older.process.wait(timeout=60) == 75
        return f"fenced {name} by another of its name"

    def _wait_randomly(self, most_s: float) -> None:
        threading.Event().wait(self._random.uniform(0, most_s))


@pytest.mark.parametrize("client", CLIENTS)
def test_each_request_has_one_answer_whatever_breaks(
    kafka: Kafka, published: Path, tmp_path: Path, client: str
) -> None:
    seed = int(os.environ.get("SOAK_SEED") or secrets.randbelow(1 << 32))
    print(f"\n{client}: {KILLS} kills, seed {seed}")
    topics = Topics.fresh(kafka, client, partitions=PARTITIONS)
    numbers, killed, round_ = itertools.count(), 0, 0
    with Members(topics, published, tmp_path, *OPTIONS) as members, Ledger(topics, PARTITIONS) as ledger:
        chaos = Chaos(kafka, members, seed)
        for name in "ab":
            members.start(name)
        while killed < KILLS:
            kills = min(KILLS_A_PHASE, KILLS - killed)
            with Feed(topics, numbers, partitions=PARTITIONS, records_a_s=RECORDS_A_S):
                for break_something in chaos.phase(kills):
                    began, round_ = time.monotonic(), round_ + 1
                    did = break_something()
                    print(f"{client} {round_}: {did} ({time.monotonic() - began:.1f} s); {ledger.read()} answered")
            killed += kills
            account = ledger.settle()
            print(f"{client}: {killed} members killed so far; {account.text}")
            assert account.sound, account.text
        for name in "ab":
            assert members.end(name, signal.SIGTERM) == 0
