"""Metrics: plain integers that requests write, folded into Prometheus' form when they are scraped."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import accumulate
from threading import get_ident

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.answer import Source
from online.holder import Holder

# Seconds. A lookup takes 10-30 µs, one model row 20-100 µs, a bulk body milliseconds.
BUCKETS = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 5.0)
# Model, method, source, code; the model and the source are "" where a request has none.
Key = tuple[str, str, str, int]


class _Cell:
    """The counts of one thread. Only that thread writes, so no count is lost and no lock is taken."""

    __slots__ = ("requests", "rows")

    def __init__(self) -> None:
        self.requests: dict[Key, list[float]] = {}  # key -> requests by bucket, the last past all; then seconds in all
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
            counts = self._cell().requests[key] = [0] * (len(BUCKETS) + 2)
        counts[bisect_left(BUCKETS, seconds)] += 1
        counts[-1] += seconds

    def count_rows(self, model: str, source: Source, rows: int) -> None:
        """Count the rows of a body. A GET is one row, and is not counted here."""
        counts = self._cell().rows
        place = model, source.text
        counts[place] = counts.get(place, 0) + rows

    def requests(self) -> dict[Key, list[float]]:
        """Return, by key, the requests by bucket and the seconds in all."""
        total: dict[Key, list[float]] = {}
        for cell in list(self._cells.values()):
            for key, counts in cell.requests.copy().items():
                total[key] = [a + b for a, b in zip(total.get(key, [0] * len(counts)), counts, strict=True)]
        return total

    def rows(self) -> dict[tuple[str, str], int]:
        """Return the rows of bodies, by model and source."""
        total: dict[tuple[str, str], int] = {}
        for cell in list(self._cells.values()):
            for place, count in cell.rows.copy().items():
                total[place] = total.get(place, 0) + count
        return total

    def _cell(self) -> _Cell:
        return self._cells.setdefault(get_ident(), _Cell())


class ServerCollector(Collector):
    """Folds the counts, and what the holder knows, into metric families."""

    def __init__(self, metrics: Metrics, holder: Holder) -> None:
        """Keep both."""
        self._metrics, self._holder = metrics, holder

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        yield from self._traffic()
        yield from self._releases()

    def _traffic(self) -> Iterator[Metric]:
        found = self._metrics.requests()
        requests = CounterMetricFamily(
            "foretable_requests",
            "HTTP requests, by where the answer came from.",
            labels=["model", "method", "source", "code"],
        )
        seconds = HistogramMetricFamily(
            "foretable_request_seconds",
            "Seconds in the application, from parsed headers to rendered body.",
            labels=["model", "method", "source"],
        )
        latencies: dict[tuple[str, str, str], list[float]] = {}
        for (*labels, code), counts in sorted(found.items()):
            requests.add_metric([*labels, str(code)], sum(counts[:-1]))
            model, method, source = labels
            so_far = latencies.get((model, method, source), [0] * len(counts))
            latencies[model, method, source] = [a + b for a, b in zip(so_far, counts, strict=True)]
        for place, counts in latencies.items():
            running = accumulate(counts[:-1])
            bounds = [*map(str, BUCKETS), "+Inf"]
            seconds.add_metric(place, list(zip(bounds, running, strict=True)), counts[-1])
        yield requests
        yield seconds
        yield from self._lookups(found)

    def _lookups(self, requests: Mapping[Key, list[float]]) -> Iterator[Metric]:
        rows: dict[tuple[str, str], float] = {**self._metrics.rows()}
        for (model, method, source, _), counts in requests.items():
            if method != "POST":  # one row each
                rows[model, source] = rows.get((model, source), 0) + sum(counts[:-1])
        hits = CounterMetricFamily("foretable_table_hits", "Rows the table answered.", labels=["model"])
        misses = CounterMetricFamily("foretable_table_misses", "Rows the model answered.", labels=["model"])
        for model in self._holder.models:
            hits.add_metric([model], rows.get((model, Source.TABLE.text), 0))
            misses.add_metric([model], rows.get((model, Source.MODEL.text), 0))
        yield hits
        yield misses

    def _releases(self) -> Iterator[Metric]:
        holder = self._holder
        labels = ["model", "label"]
        corrupt = GaugeMetricFamily(
            "foretable_table_corrupt_blocks", "Blocks of the served table found corrupt.", labels=labels
        )
        release = GaugeMetricFamily("foretable_release", "Number of the release served.", labels=labels)
        age = GaugeMetricFamily(
            "foretable_release_age_seconds", "Seconds since the release served was made.", labels=labels
        )
        for place, served in holder.current.copy().items():
            predictor = served.predictor
            corrupt.add_metric(place, predictor.table.corrupt_blocks if predictor.table else 0)
            release.add_metric(place, served.release)
            age.add_metric(place, time.time() - datetime.fromisoformat(predictor.release.time).timestamp())
        yield from (corrupt, release, age)
        yield from self._following(labels)

    def _following(self, labels: list[str]) -> Iterator[Metric]:
        holder = self._holder
        failing = GaugeMetricFamily(
            "foretable_label_failing", "1 where the label's record or its release cannot be read.", labels=labels
        )
        checked = GaugeMetricFamily(
            "foretable_label_checked_seconds", "Seconds since the label was last followed.", labels=labels
        )
        swaps = CounterMetricFamily("foretable_release_swaps", "Release changes since the start.", labels=labels)
        failures = CounterMetricFamily(
            "foretable_load_failures", "Label records and releases that could not be read.", labels=labels
        )
        for place in holder.checked:
            failing.add_metric(place, place in holder.problems)
            checked.add_metric(place, time.monotonic() - holder.checked[place])
            swaps.add_metric(place, holder.swaps[place])
            failures.add_metric(place, holder.failures[place])
        yield from (failing, checked, swaps, failures)


def exposition(metrics: Metrics, holder: Holder) -> bytes:
    """Return all metrics in Prometheus' text form."""
    registry = CollectorRegistry()
    registry.register(ServerCollector(metrics, holder))
    return generate_latest(registry)
