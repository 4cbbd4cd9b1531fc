"""What readers of committed records see of a stream, held against what was asked."""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from tests.support.kafka_topic import seen_in
from tests.support.stream_feed import NUMBER, silent_logger
from tests.support.stream_topics import Topics
from tests.support.waiting import wait_until

_POLL_S, _MOST = 0.2, 1000
_READ_S = 1.0

# Of requests, by partition, in their order there.
Numbers = dict[int, list[int]]


@dataclass(frozen=True)
class Account:
    """What became of all requests so far.

    Attributes:
        requests: how many there are.
        answers: predictions.
        letters: dead letters.
        missing: requests with neither.
        duplicates: answers and letters beyond a request's first, and those of no request.
        misplaced: answers that come after one to a later request of their partition.
    """

    requests: int
    answers: int
    letters: int
    missing: int
    duplicates: int
    misplaced: int

    @property
    def sound(self) -> bool:
        """Whether each request has one answer, in the order of its partition."""
        return not (self.missing or self.duplicates or self.misplaced)

    @property
    def text(self) -> str:
        """It, for people."""
        return (
            f"{self.requests} requests: {self.answers} answers, {self.letters} dead letters; "
            f"missing {self.missing}, duplicates {self.duplicates}, out of order {self.misplaced}"
        )


class Ledger:
    """Follows the answers and dead letters of a stream whose topics have equally many partitions."""

    def __init__(self, topics: Topics, partitions: int) -> None:
        """Begin at the topics' beginning."""
        self._topics = topics
        self._answered: set[int] = set()
        # This one follows; what it comes to is read anew by kafka-python, whose consumer leaves sockets behind where it
        # outlives a broker.
        self._consumer = Consumer(
            {
                "bootstrap.servers": topics.kafka.bootstrap,
                "group.id": "ledger",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "reconnect.backoff.max.ms": 500,
                "logger": silent_logger(),
            }
        )
        self._consumer.assign(
            [
                TopicPartition(topic, number, OFFSET_BEGINNING)
                for topic in (topics.predictions, topics.dead_letters)
                for number in range(partitions)
            ]
        )

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._consumer.close()

    def read(self) -> int:
        """Take what has come; return of how many requests there is an answer or a dead letter by now."""
        until = time.monotonic() + _READ_S  # while requests are sent, answers never end
        while time.monotonic() < until and (found := self._consumer.consume(_MOST, _POLL_S)):
            for message in found:
                if message.error() is None:  # a broker that is away comes back
                    self._answered.add(int(dict(message.headers() or ())[NUMBER] or b""))
        return len(self._answered)

    def settle(self) -> Account:
        """Wait until all requests are answered; then read all anew, and return what it comes to."""
        asked = self._numbers_in(self._topics.requests)
        count = len({number for numbers in asked.values() for number in numbers})
        wait_until(lambda: self.read() >= count, what=f"all {count} requests are answered", timeout_s=180)
        return account_of(
            asked, self._numbers_in(self._topics.predictions), self._numbers_in(self._topics.dead_letters)
        )

    def _numbers_in(self, topic: str) -> Numbers:
        numbers: Numbers = defaultdict(list)
        for one in seen_in(self._topics.kafka.bootstrap, topic):
            numbers[one.partition].append(int(dict(one.headers)[NUMBER] or b""))
        return numbers


def account_of(asked: Numbers, answers: Numbers, letters: Numbers) -> Account:
    """Hold answers and dead letters against requests."""
    missing = duplicates = misplaced = 0
    for partition, numbers in asked.items():
        order = {number: place for place, number in enumerate(numbers)}
        places = [[order.get(number, -1) for number in taken[partition]] for taken in (answers, letters)]
        duplicates += sum(map(len, places)) - len(set(itertools.chain(*places)) - {-1})
        misplaced += sum(later <= earlier for taken in places for earlier, later in itertools.pairwise(taken))
        missing += len(set(order.values()) - set(itertools.chain(*places)))
    requests, predicted, buried = (sum(map(len, each.values())) for each in (asked, answers, letters))
    return Account(requests, predicted, buried, missing, duplicates, misplaced)
