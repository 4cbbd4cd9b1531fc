"""Letters sent back to where they came from, each once."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from engine.errors import Unavailable
from streaming.clients.client import Client, TooLarge
from streaming.ends import Ends
from streaming.letters.letter import Letter
from streaming.letters.selection import Selection
from streaming.record import Outgoing, Partition, Record

_log = logging.getLogger(__name__)
_POLL_S = 0.5
_FIRST_BACKOFF_S, _MOST_FAILURES = 0.2, 6
TOO_LARGE = "it is larger than the topic takes now"
# Called with what was read, once it counts.
Progress = Callable[[Sequence[Record]], None]


class Tally:
    """What became of letters.

    Attributes:
        sent: by topic.
        passed: not chosen.
        kept_back: chosen, but they cannot be sent again; by why.
    """

    def __init__(self) -> None:
        """Begin at none."""
        self.sent: Counter[str] = Counter()
        self.passed = 0
        self.kept_back: Counter[str] = Counter()

    def add(self, other: Tally) -> None:
        """Add another's."""
        self.sent += other.sent
        self.passed += other.passed
        self.kept_back += other.kept_back

    def text(self, *, dry: bool) -> str:
        """Return it in a few lines."""
        verb, noun = ("would be sent", "would be passed over") if dry else ("sent", "passed over")
        lines = [f"{count:,} letters {verb} to {topic}" for topic, count in sorted(self.sent.items())]
        lines = lines or [f"0 letters {verb}"]
        if self.passed:
            lines.append(f"{self.passed:,} {noun}: of other dispositions")
        lines += [f"{count:,} cannot be sent again: {reason}" for reason, count in sorted(self.kept_back.items())]
        return "\n".join(lines)

    def to_json(self) -> dict[str, object]:
        """Return it for JSON."""
        return {"sent": dict(self.sent), "passed_over": self.passed, "not_replayable": dict(self.kept_back)}


class Sorting:
    """Says of letters what is to become of them."""

    def __init__(self, client: Client, selection: Selection, to: str | None) -> None:
        """Send the selected ones to their origin, or all to one topic."""
        self._client, self._selection, self._to = client, selection, to
        self._partitions: dict[str, int] = {}

    def sort(self, records: Sequence[Record], tally: Tally) -> list[Outgoing]:
        """Return the requests to send; count the other letters.

        Raises:
            BadSettings: the topic that a letter came from is not there.
        """
        requests = []
        for letter in map(Letter.of, records):
            if not self._selection.has(letter):
                tally.passed += 1
            elif letter.obstacle or letter.origin is None:
                tally.kept_back[str(letter.obstacle)] += 1
            else:
                topic = self._to or letter.origin.topic
                requests.append(letter.request(topic, self._count(topic)))
        return requests

    def _count(self, topic: str) -> int:
        if topic not in self._partitions:
            self._partitions[topic] = self._client.partitions_of(topic)
        return self._partitions[topic]


def _ignore(lost: Sequence[Partition]) -> None:
    """Do nothing: what one poll brought is committed before the next, and of what was lost since that is refused."""


class Replay:
    """Sends letters again, a transaction after the other, up to where the topic ended when it began.

    1. ``poll`` brings letters. 2. The topics they go to are looked for: one that is missing ends the replay here.
    3. A transaction begins, and the requests are sent in it. 4. It is committed together with the offsets of all
    letters polled, also of those that are not sent: all is seen, or nothing. 5. They are counted.

    Of a commit that ended in a fault nobody knows at first what came: where the next letters lie tells.

    A letter that comes back while this runs lies behind the end: else one that fails each time would go round for ever.

    Attributes:
        tally: what is committed.
    """

    def __init__(self, client: Client, topic: str, sorting: Sorting, *, batch_records: int) -> None:
        """Take a client of the replay's group, with transactions; so many letters in one of these."""
        self.tally = Tally()
        self._client, self._topic, self._sorting, self._most = client, topic, sorting, batch_records
        self._must_rewind = False
        self._unsettled: tuple[dict[Partition, int], Tally] | None = None

    def run(self, bounds: Mapping[Partition, tuple[int, int]], progress: Progress, stop: threading.Event) -> None:
        """Send all there are, or until told to stop; the transaction under way is finished.

        Raises:
            Unavailable: it failed several times, one after the other. What was committed is done.
            Fenced: another replay of this topic has begun.
            BadSettings: an origin's topic is not there, or rights are missing.
        """
        self._client.subscribe(self._topic, _ignore)
        ends, failures = Ends(bounds), 0
        while not ends.reached and not stop.is_set():
            try:
                self._turn(ends, progress)
                failures = 0
            except Unavailable as error:
                failures += 1
                if failures >= _MOST_FAILURES:
                    raise
                _log.warning("trying again: %s", error)
                stop.wait(_FIRST_BACKOFF_S * 2**failures)
                self._must_rewind, ends = True, Ends(bounds)

    def _turn(self, ends: Ends, progress: Progress) -> None:
        if self._must_rewind:  # or else what was polled and not committed would be passed over
            self._client.abort()
            self._client.rewind()
            self._must_rewind = False
        polled = self._client.poll(_POLL_S, self._most)
        self._settle(polled)
        records = ends.take(polled, self._client)
        if not records:
            return
        tally = Tally()
        requests = self._sorting.sort(records, tally)
        self._client.begin()
        for request in requests:
            try:
                self._client.send(request)
                tally.sent[request.partition.topic] += 1
            except TooLarge as error:
                _log.warning("not sent: %s", error)
                tally.kept_back[TOO_LARGE] += 1
        offsets = {record.partition: record.offset + 1 for record in records}
        self._unsettled = offsets, tally
        self._client.commit(offsets)
        self._unsettled = None
        self.tally.add(tally)
        progress(records)

    def _settle(self, polled: Sequence[Record]) -> None:
        """Count the last transaction, if it was committed after all: one partition tells for all of it."""
        if self._unsettled is None:
            return
        offsets, tally = self._unsettled
        positions = {record.partition: record.offset for record in reversed(polled)}
        positions = positions or {partition: position for partition, (position, _) in self._client.lag().items()}
        told = [positions[partition] >= offset for partition, offset in offsets.items() if partition in positions]
        if told:
            self._unsettled = None
            if told[0]:
                self.tally.add(tally)
