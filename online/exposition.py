"""What Prometheus scrapes: the counts of requests, and the state of the server."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.answer import Source
from online.metrics import BUCKETS, Counts, Key
from online.serving import Serving
from online.snapshot import Snapshot


class ServerCollector(Collector):
    """Folds the counts, and what the holder knows, into metric families."""

    def __init__(self, serving: Serving) -> None:
        """Keep the server's state."""
        self._serving, self._holder = serving, serving.holder

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        snapshot = self._serving.snapshot()
        yield from self._traffic(snapshot)
        yield from _load(snapshot)
        yield from self._releases()

    def _traffic(self, snapshot: Snapshot) -> Iterator[Metric]:
        found = snapshot.requests
        requests = CounterMetricFamily(
            "foretable_requests",
            "HTTP requests, by where the answer came from.",
            labels=["model", "method", "source", "code"],
        )
        latencies: dict[tuple[str, str, str], Counts] = {}
        for (*labels, code), counts in sorted(found.items()):
            requests.add_metric([*labels, str(code)], sum(counts[:-1]))
            model, method, source = labels
            so_far = latencies.get((model, method, source), [0] * len(counts))
            latencies[model, method, source] = [a + b for a, b in zip(so_far, counts, strict=True)]
        yield requests
        told = "Seconds in the application, from parsed headers to rendered body."
        yield _histogram("foretable_request_seconds", told, ["model", "method", "source"], latencies)
        told = "Seconds in the predictor; what is left of a request's seconds is overhead. Table lookups by GET: none."
        yield _histogram("foretable_compute_seconds", told, ["model", "source"], snapshot.compute)
        yield from self._lookups(found, snapshot.rows)

    def _lookups(self, requests: Mapping[Key, Counts], of_bodies: Mapping[tuple[str, str], int]) -> Iterator[Metric]:
        rows: dict[tuple[str, str], float] = {**of_bodies}
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
        same = GaugeMetricFamily(
            "foretable_numeric_class_same", "1 where this CPU's numeric class is that of the release.", labels=labels
        )
        for place, served in holder.current.copy().items():
            predictor = served.predictor
            corrupt.add_metric(place, predictor.table.corrupt_blocks if predictor.table else 0)
            release.add_metric(place, served.release)
            same.add_metric(place, predictor.same_numeric_class)
            age.add_metric(place, time.time() - datetime.fromisoformat(predictor.release.time).timestamp())
        yield from (corrupt, release, age, same)
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


def _load(snapshot: Snapshot) -> Iterator[Metric]:
    told = "Requests that a thread answers, or that wait for an interpreter there."
    yield GaugeMetricFamily("foretable_requests_under_way", told, snapshot.under_way)
    yield GaugeMetricFamily("foretable_requests_limit", "Most of them at once.", snapshot.places)
    yield CounterMetricFamily("foretable_sheds", "Requests told to come back: all places taken.", snapshot.sheds)
    yield GaugeMetricFamily("foretable_connections", "Connections open.", snapshot.connections)
    told = "Bytes of the bodies that are read or answered now."
    yield GaugeMetricFamily("foretable_buffered_body_bytes", told, snapshot.buffered_bytes)
    told = "Seconds by which the event loop is late: how long a request waits to be looked at."
    yield GaugeMetricFamily("foretable_event_loop_lag_seconds", told, snapshot.lag_s)


def _histogram(name: str, told: str, labels: list[str], found: Mapping[Any, Counts]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, told, labels=labels)
    bounds = [*map(str, BUCKETS), "+Inf"]
    for place, counts in sorted(found.items()):
        family.add_metric(place, list(zip(bounds, accumulate(counts[:-1]), strict=True)), counts[-1])
    return family


def exposition(serving: Serving) -> bytes:
    """Return all metrics in Prometheus' text form."""
    registry = CollectorRegistry()
    registry.register(ServerCollector(serving))
    return generate_latest(registry)
