"""How fast a consumer group gets on, seen from outside: by the offsets that it has committed.

It is the same look for every program that is compared, none is asked for anything, and no record of a transaction's end
is counted for an answer: topics of requests have none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.child_process import ChildProcess
from bench.stream_broker import PARTITIONS, Job
from engine.errors import Unavailable

_LOOK_S = 0.01
_TIMEOUT_S = 10.0
_FIRST_S = 60.0
# Batches grow from careful ones, buffers fill and caches warm.
WARM_S = 1.5


@dataclass(frozen=True)
class Progress:
    """What was committed and when; a line for each time that it had become more.

    Attributes:
        times_s: of the looks that saw it.
        records: committed by then, in all.
    """

    times_s: Sequence[float]
    records: Sequence[int]

    def steady_rate(self, warm_s: float = WARM_S) -> float:
        """Return records a second between two commits: the first that is so long after the very first, and the last.

        From commit to commit, since what is done between is seen only at the next.

        Raises:
            Unavailable: there are no two.
        """
        begin = next((at for at, when in enumerate(self.times_s) if when >= self.times_s[0] + warm_s), None)
        if begin is None or begin == len(self.times_s) - 1:
            message = (
                f"a run must commit twice after its first {warm_s:g} s; got {len(self.times_s)} commits in all. "
                "Measure for longer, or over more records"
            )
            raise Unavailable(message)
        return (self.records[-1] - self.records[begin]) / (self.times_s[-1] - self.times_s[begin])


class Offsets:
    """What a group has committed."""

    def __init__(self, job: Job) -> None:
        """Connect; it is not a member."""
        from confluent_kafka import Consumer, TopicPartition

        # Else a transaction under way would have the library ask again until it is over.
        settings = {"bootstrap.servers": job.servers, "group.id": job.group, "isolation.level": "read_uncommitted"}
        self._consumer: Any = Consumer(settings)
        self._places = [TopicPartition(job.requests, number) for number in range(PARTITIONS)]

    def committed(self) -> int:
        """Return how many records the group has done; 0, too, while the broker makes ready for groups."""
        from confluent_kafka import KafkaError, KafkaException

        not_ready = {
            KafkaError.NOT_COORDINATOR,
            KafkaError.COORDINATOR_NOT_AVAILABLE,
            KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        }
        try:
            return sum(max(one.offset, 0) for one in self._consumer.committed(self._places, _TIMEOUT_S))
        except KafkaException as error:
            known = error.args[0]
            if known.retriable() or known.code() in not_ready:
                return 0
            raise

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()


def watch(
    job: Job, process: ChildProcess, *, total: int, seconds: float, steady: Callable[[], None] = lambda: None
) -> Progress:
    """Watch a program for ``seconds`` and its warming up; less where all is done before.

    Args:
        job: what it does.
        process: it.
        total: records that there are.
        seconds: of steady work.
        steady: called when that begins.

    Raises:
        Unavailable: it ended, or committed nothing for a minute.
    """
    offsets = Offsets(job)
    times_s: list[float] = []
    records: list[int] = []
    started, warm = time.monotonic(), False
    try:
        while not (records and records[-1] >= total):
            committed, now = offsets.committed(), time.monotonic()
            if committed > (records[-1] if records else 0):
                times_s.append(now)
                records.append(committed)
            if not times_s and now > started + _FIRST_S:
                must = f"commit within {_FIRST_S:.0f} s"
                raise process.failure(must)
            if times_s and not warm and now >= times_s[0] + WARM_S:
                warm = True
                steady()
            if times_s and now > times_s[0] + WARM_S + seconds:
                break
            process.check_alive()
            time.sleep(_LOOK_S)
    finally:
        offsets.close()
    if not times_s:
        message = f"topic {job.requests} must hold records to answer; got {total}"
        raise Unavailable(message)
    return Progress(times_s, records)


def committed_values(job: Job, process: ChildProcess, count: int) -> list[bytes]:
    """Return the first predictions that a program commits, of all partitions together.

    Raises:
        Unavailable: it ended, or there are too few within a minute.
    """
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    settings = {"bootstrap.servers": job.servers, "group.id": f"{job.group}-reader", "enable.auto.commit": False}
    consumer: Any = Consumer(settings)
    values: list[bytes] = []
    deadline = time.monotonic() + _FIRST_S
    try:
        consumer.assign([TopicPartition(job.predictions, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])
        while len(values) < count:
            values += [message.value() for message in consumer.consume(count, 0.5) if message.error() is None]
            process.check_alive()
            if time.monotonic() > deadline:
                must = f"commit {count} answers within {_FIRST_S:.0f} s"
                raise process.failure(must)
    finally:
        consumer.close()
    return values[:count]
