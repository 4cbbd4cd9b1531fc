"""Requests out, answers in."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.errors import InvalidInput
from streaming.asking.feed import Feed
from streaming.asking.matching import CORRELATION, Matching
from streaming.asking.partitioner import partition_of
from streaming.asking.rows import Asked
from streaming.clients.client import Client
from streaming.deadline import DEADLINE_HEADER
from streaming.record import Headers, Outgoing, Partition

# Answers are looked for while requests are sent: seldom, and they wait unread, so that latencies would be too long;
# often, and sending takes longer.
_LOOK_S = 0.005
_SENDS_A_FLUSH = 10_000
_POLL_S = 0.05
_MOST = 5000


@dataclass(frozen=True, kw_only=True)
class Ask:
    """How requests are sent.

    Attributes:
        topic: where to.
        partitions: how many it has.
        headers: on each.
        deadline_ms: after sending; None for none.
    """

    topic: str
    partitions: int
    headers: Headers = ()
    deadline_ms: int | None = None


@dataclass
class Answers:
    """Where answers come; both clients read from where the topics ended before.

    Attributes:
        predictions: reads these.
        dead_letters: reads these, or None.
        out: takes a line an answer.
    """

    predictions: Client
    dead_letters: Client | None
    out: Any = field(default=None)  # a binary file


class Exchange:
    """Sends requests, and takes what comes of them.

    Attributes:
        matching: of answers to requests, and the counts.
        rows: sent.
    """

    def __init__(self, client: Client, ask: Ask, answers: Answers | None, bar: Any) -> None:
        """Send by a client; wait for answers, if there is where from; move the bar on."""
        self.matching, self.rows = Matching(), 0
        self._client, self._ask, self._answers, self._bar = client, ask, answers, bar

    def send(self, requests: Iterable[Asked]) -> None:
        """Send all, and see to it that they have arrived.

        Raises:
            InvalidInput: a row cannot be read; those before it were sent.
            Unavailable: the brokers do not answer. What was sent may have arrived.
            TooLarge: a request is larger than the topic takes.
        """
        client, counts = self._client, self.matching.counts
        client.begin()
        looked_s = time.perf_counter()
        try:
            for asked in Feed(requests):
                if asked is not None:
                    client.send(self._outgoing(asked))
                    self.rows += asked.rows
                    if counts.sent % _SENDS_A_FLUSH == 0:
                        client.commit({})
                        client.begin()
                if self._answers is None:
                    self._bar.update(asked is not None)
                elif time.perf_counter() - looked_s > _LOOK_S:
                    self._bar.total = counts.sent
                    self._take(0.0)
                    looked_s = time.perf_counter()
        except (InvalidInput, KeyboardInterrupt):
            client.commit({})  # else the count of what was sent would be none
            raise
        client.commit({})

    def wait(self, timeout_s: float) -> None:
        """Take answers until there is one to each request, or for so long."""
        self._bar.total = self.matching.counts.sent
        deadline = time.monotonic() + timeout_s
        while self.matching.waiting and time.monotonic() < deadline:
            self._take(_POLL_S)

    def _take(self, timeout_s: float) -> None:
        assert self._answers is not None
        matching, now_s = self.matching, time.perf_counter
        taken = 0
        for record in self._answers.predictions.poll(timeout_s, _MOST):
            taken += matching.answer(record, now_s())
        if self._answers.dead_letters is not None:
            for record in self._answers.dead_letters.poll(0.0, _MOST):
                taken += matching.bury(record, now_s())
        self._bar.update(taken)
        self.write()

    def write(self, *, final: bool = False) -> None:
        """Write the answers whose turn has come; at the end all."""
        if self._answers is not None:
            self._answers.out.writelines(line + b"\n" for line in self.matching.lines(final=final))
            self._answers.out.flush()

    def _outgoing(self, asked: Asked) -> Outgoing:
        ask, place = self._ask, self.matching.counts.sent
        name = self.matching.begin(time.perf_counter())
        headers: Sequence[tuple[str, bytes | None]] = [(CORRELATION, name), *ask.headers]
        if ask.deadline_ms is not None:
            headers = [*headers, (DEADLINE_HEADER, str(round(time.time() * 1000) + ask.deadline_ms).encode())]
        number = place % ask.partitions if asked.key is None else partition_of(asked.key, ask.partitions)
        return Outgoing(Partition(ask.topic, number), asked.key, asked.value, tuple(headers))
