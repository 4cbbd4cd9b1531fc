"""Requests that are answered together, and committed in one transaction."""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass, field

from streaming.answering import Answered
from streaming.record import Partition, Record
from streaming.streamed import Streamed


@dataclass(frozen=True)
class Batch:
    """Some requests, in the order of their partitions.

    Attributes:
        records: the requests; at least one.
        release: what answers them all.
        answering: their answers, which come from another thread.
        is_full: whether as many came as were asked for, so that others may wait.
        lost: the partitions that this member has lost since.
        begun: ``time.perf_counter`` when its answers were asked for.
    """

    records: list[Record]
    release: Streamed
    answering: Future[Answered]
    is_full: bool
    lost: set[Partition] = field(default_factory=set)
    begun: float = field(default_factory=time.perf_counter)
