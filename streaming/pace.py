"""How many records one transaction takes, and how long it waits for more."""

from __future__ import annotations

from dataclasses import dataclass

from streaming.config import LATENCY

# The share that the newest measurement has in the average: some ten transactions are remembered.
_NEWEST = 0.1
_LEAST_RECORDS = 16


@dataclass(frozen=True)
class Profile:
    """What a stream is set to.

    Attributes:
        target_s: what a transaction should take. Records that come meanwhile wait so long for the next.
        linger_s: how long to wait for more records than there are, while few come.
        fetch_wait_ms: how long a broker may wait for as many bytes as the next.
        fetch_min_bytes: what a fetch should bring.
        linger_ms: how long the producer waits for more to send at once.
    """

    target_s: float
    linger_s: float
    fetch_wait_ms: int
    fetch_min_bytes: int
    linger_ms: int


# In the first a record waits for a transaction under way and its own, some 20 ms each by kafka-python. In the second
# the transaction's own cost is lost among that of thousands of records.
PROFILES = {
    LATENCY: Profile(target_s=0.02, linger_s=0.0, fetch_wait_ms=10, fetch_min_bytes=1, linger_ms=0),
    "throughput": Profile(target_s=0.5, linger_s=0.05, fetch_wait_ms=100, fetch_min_bytes=1 << 16, linger_ms=5),
}


class Pace:
    """Fits the size of a batch to what batches take.

    Attributes:
        most: records in the next batch.
        row_s: what a row has taken of late, the transaction's own cost left out.
        rows_a_record: of late.
    """

    def __init__(self, profile: Profile, *, limit: int) -> None:
        """Begin carefully; never take more than ``limit`` records at once."""
        self.profile, self._limit = profile, limit
        self._record_s, self._fixed_s = 0.0, 0.0
        self.row_s, self.rows_a_record = 0.0, 0.0
        self.most = min(limit, 500)

    def measured(self, *, records: int, rows: int, work_s: float, whole_s: float) -> None:
        """Learn from a transaction.

        Args:
            records: that it answered.
            rows: of them.
            work_s: what decoding, answering and sending took: it grows with the records.
            whole_s: from the first of that to the end of the commit.
        """
        self._record_s = _average(self._record_s, work_s / records)
        self._fixed_s = _average(self._fixed_s, max(whole_s - work_s, 0.0))
        self.row_s = _average(self.row_s, work_s / max(rows, 1))
        self.rows_a_record = _average(self.rows_a_record, rows / records)
        # Where the commit alone takes longer than the target, a batch may take as long again: less would only make
        # more commits.
        left_s = max(self.profile.target_s - self._fixed_s, self._fixed_s)
        self.most = max(min(int(left_s / self._record_s), self._limit), min(_LEAST_RECORDS, self._limit))


def _average(so_far: float, newest: float) -> float:
    return newest if not so_far else so_far + _NEWEST * (newest - so_far)
