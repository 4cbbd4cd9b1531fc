"""A Kafka client over lists, which fails and loses partitions where a test says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from streaming.clients.client import Lost, TooLarge
from streaming.record import Outgoing, Partition, Record

# Called before each step with its name; may raise, or change the script.
Step = Callable[[str], None]


class ScriptedClient:
    """Holds the requests' topic, and what was committed: answers and offsets together.

    Attributes:
        committed: what a reader of committed records sees.
        offsets: the next to read, by partition.
        largest: bytes of a value; a larger one fails the commit, as a broker would.
    """

    def __init__(self, requests: Sequence[Record], step: Step = lambda _: None) -> None:
        """Hold requests; all partitions are this member's."""
        self._log = {p: [r for r in requests if r.partition == p] for p in sorted({r.partition for r in requests})}
        self._step, self._position = step, dict.fromkeys(self._log, 0)
        self._mine, self._paused = set(self._log), set[Partition]()
        self.committed: list[Outgoing] = []
        self.offsets = dict.fromkeys(self._log, 0)
        self._open: list[Outgoing] | None = None
        self._lost: Lost = lambda _: None
        self.largest = 1 << 30

    def give_away_and_back(self, partition: Partition) -> None:
        """Lose a partition and get it again, as two rebalances do: it begins at its last commit."""
        self._lost([partition])
        self._position[partition] = self.offsets[partition]

    def subscribe(self, topic: str, lost: Lost) -> None:
        self._lost = lost

    def read(self, starts: Mapping[Partition, int]) -> None:
        self._mine, self._position = set(starts), dict(starts)

    def poll(self, timeout_s: float, most: int) -> list[Record]:
        self._step("poll")
        found: list[Record] = []
        for record in self._next():
            if len(found) == most:
                break
            found.append(record)
            self._position[record.partition] = record.offset + 1
        return found

    def _next(self) -> Iterator[Record]:
        for partition in sorted(self._mine - self._paused):
            yield from self._log[partition][self._position[partition] :]

    def pause(self, partitions: Iterable[Partition]) -> None:
        self._paused |= set(partitions)

    def resume(self, partitions: Iterable[Partition]) -> None:
        self._paused -= set(partitions)

    @property
    def assigned(self) -> frozenset[Partition]:
        return frozenset(self._mine)

    def rewind(self) -> None:
        self._step("rewind")
        self._position = self.offsets.copy()

    def partitions_of(self, topic: str) -> int:
        return 2

    def bounds(self, topic: str, *, since_ms: int = 0) -> dict[Partition, tuple[int, int]]:
        firsts = {p: [r.offset for r in log if r.timestamp_ms >= since_ms] for p, log in self._log.items()}
        return {partition: (min(firsts[partition], default=len(log)), len(log)) for partition, log in self._log.items()}

    def begin(self) -> None:
        self._step("begin")
        assert self._open is None
        self._open = []

    def send(self, *records: Outgoing) -> None:
        self._step("send")
        assert self._open is not None
        self._open += records

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        assert self._open is not None
        if any(len(record.value or b"") > self.largest for record in self._open):
            message = "too large"
            raise TooLarge(message)
        self._step("commit")
        self.committed += self._open
        self.offsets.update(offsets)
        self._open = None

    def abort(self) -> None:
        self._step("abort")
        self._open = None

    def lag(self) -> dict[Partition, tuple[int, int]]:
        return {p: (self._position[p], len(log)) for p, log in self._log.items()}

    def close(self) -> None:
        self._open = None
