"""How far a topic reaches when one begins to read it: a reader that followed what comes would never end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from engine.errors import Unavailable
from streaming.clients.client import Client
from streaming.record import Partition, Record

_POLL_S = 0.5
_MOST = 2000
# A member that was killed keeps its partitions for a session of 45 s.
_STALLED_S = 120.0


class Ends:
    """The ends of a topic's partitions, and which of them were reached."""

    def __init__(self, bounds: Mapping[Partition, tuple[int, int]]) -> None:
        """Take the first offset and the end of each partition."""
        self._ends = {partition: end for partition, (_, end) in bounds.items()}
        self._open = {partition for partition, (first, end) in bounds.items() if end > first}
        self._moved = time.monotonic()

    @property
    def reached(self) -> bool:
        """Whether all was read."""
        return not self._open

    def take(self, records: Sequence[Record], client: Client) -> list[Record]:
        """Return those of the records that lay there; take note of how far they reach.

        Raises:
            Unavailable: for two minutes nothing has come.
        """
        taken = [record for record in records if record.offset < self._ends.get(record.partition, 0)]
        for partition, offset in {record.partition: record.offset for record in records}.items():
            self._pass(partition, offset + 1)
        if not taken:  # what is left may be no records: aborted ones, and marks of transactions
            for partition, (position, _) in client.lag().items():
                self._pass(partition, position)
        now = time.monotonic()
        if taken:
            self._moved = now
        elif self._open and now - self._moved > _STALLED_S:
            left = ", ".join(f"{topic} {number}" for topic, number in sorted(self._open))
            message = f"{left}: must be read to the end; nothing came for {_STALLED_S:.0f} s. Is another reading them?"
            raise Unavailable(message)
        return taken

    def _pass(self, partition: Partition, position: int) -> None:
        if position >= self._ends.get(partition, 0):
            self._open.discard(partition)


def read_to_ends(client: Client, bounds: Mapping[Partition, tuple[int, int]]) -> Iterator[list[Record]]:
    """Read what lies in a topic now, in a client that is set to where to begin; commit nothing.

    Raises:
        Unavailable: the brokers do not answer.
    """
    ends = Ends(bounds)
    while not ends.reached:
        yield ends.take(client.poll(_POLL_S, _MOST), client)
