"""Metrics: plain numbers that the event loop's thread writes; ``exposition.py`` folds them when they are scraped."""

from __future__ import annotations

from bisect import bisect_left

from engine.answer import Source

# Seconds. A lookup takes 10-30 µs, one model row 20-100 µs, a bulk body milliseconds.
BUCKETS = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 5.0)
# Model, method, source, code; the model and the source are "" where a request has none.
Key = tuple[str, str, str, int]
# Numbers by bucket, the last of them past all; then seconds in all.
Counts = list[float]


class Metrics:
    """Counts requests. One thread writes, so no count is lost and no lock is taken; others may read.

    Attributes:
        requests: by key.
        compute: what the predictor took, by model and source.
        rows: of bodies, by model and source. A GET is one row, and is not counted here.
    """

    def __init__(self) -> None:
        """Start at zero."""
        self.requests: dict[Key, Counts] = {}
        self.compute: dict[tuple[str, str], Counts] = {}
        self.rows: dict[tuple[str, str], int] = {}

    def observe(self, key: Key, seconds: float) -> None:
        """Count one request."""
        counts = self.requests.get(key)
        if counts is None:
            counts = self.requests[key] = _zeros()
        counts[bisect_left(BUCKETS, seconds)] += 1
        counts[-1] += seconds

    def observe_compute(self, place: tuple[str, str], seconds: float) -> None:
        """Count what one request's call of the predictor took, by model and source."""
        counts = self.compute.get(place)
        if counts is None:
            counts = self.compute[place] = _zeros()
        counts[bisect_left(BUCKETS, seconds)] += 1
        counts[-1] += seconds

    def count_rows(self, model: str, source: Source, rows: int) -> None:
        """Count the rows of a body."""
        place = model, source.text
        self.rows[place] = self.rows.get(place, 0) + rows


def _zeros() -> Counts:
    return [0] * (len(BUCKETS) + 2)
