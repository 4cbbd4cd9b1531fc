"""Metrics: plain integers that requests write; ``exposition.py`` folds them when they are scraped."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from threading import get_ident
from typing import Any, TypeVar

from engine.answer import Source

# Seconds. A lookup takes 10-30 µs, one model row 20-100 µs, a bulk body milliseconds.
BUCKETS = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 5.0)
# Model, method, source, code; the model and the source are "" where a request has none.
Key = tuple[str, str, str, int]
Labels = TypeVar("Labels", bound=tuple[Any, ...])


class _Cell:
    """The counts of one thread. Only that thread writes, so no count is lost and no lock is taken."""

    __slots__ = ("compute", "requests", "rows")

    def __init__(self) -> None:
        self.requests: dict[Key, list[float]] = {}  # key -> requests by bucket, the last past all; then seconds in all
        self.compute: dict[tuple[str, str], list[float]] = {}  # (model, source) -> as in ``requests``
        self.rows: dict[tuple[str, str], int] = {}  # (model, source) -> rows of bodies


class Metrics:
    """Counts requests. Cheap: one observation costs half a microsecond."""

    def __init__(self) -> None:
        """Start at zero."""
        # By thread: an identifier is used again only after its thread has ended, so a cell has one writer at a time.
        self._cells: dict[int, _Cell] = {}

    def observe(self, key: Key, seconds: float) -> None:
        """Count one request."""
        try:
            counts = self._cells[get_ident()].requests[key]
        except KeyError:
            counts = self._cell().requests[key] = _zeros()
        counts[bisect_left(BUCKETS, seconds)] += 1
        counts[-1] += seconds

    def observe_compute(self, place: tuple[str, str], seconds: float) -> None:
        """Count what one call of the predictor took, by model and source."""
        counts = self._cell().compute.setdefault(place, _zeros())
        counts[bisect_left(BUCKETS, seconds)] += 1
        counts[-1] += seconds

    def count_rows(self, model: str, source: Source, rows: int) -> None:
        """Count the rows of a body. A GET is one row, and is not counted here."""
        counts = self._cell().rows
        place = model, source.text
        counts[place] = counts.get(place, 0) + rows

    def requests(self) -> dict[Key, list[float]]:
        """Return, by key, the requests by bucket and the seconds in all."""
        return _sum(cell.requests for cell in list(self._cells.values()))

    def compute(self) -> dict[tuple[str, str], list[float]]:
        """Return, by model and source, the predictor's calls by bucket and the seconds in all."""
        return _sum(cell.compute for cell in list(self._cells.values()))

    def rows(self) -> dict[tuple[str, str], int]:
        """Return the rows of bodies, by model and source."""
        total: dict[tuple[str, str], int] = {}
        for cell in list(self._cells.values()):
            for place, count in cell.rows.copy().items():
                total[place] = total.get(place, 0) + count
        return total

    def _cell(self) -> _Cell:
        return self._cells.setdefault(get_ident(), _Cell())


def _zeros() -> list[float]:
    return [0] * (len(BUCKETS) + 2)


def _sum(cells: Iterable[dict[Labels, list[float]]]) -> dict[Labels, list[float]]:
    total: dict[Labels, list[float]] = {}
    for cell in cells:
        for key, counts in cell.copy().items():
            total[key] = [a + b for a, b in zip(total.get(key, _zeros()), counts, strict=True)]
    return total
