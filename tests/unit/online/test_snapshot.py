"""What a worker has counted: told and added up."""

from __future__ import annotations

import dataclasses

from engine.answer import Source
from online.admission import Admission
from online.http.traffic import Traffic
from online.metrics import BUCKETS, Metrics
from online.snapshot import Snapshot

KEY = ("m", "GET", "table", 200)


def taken() -> Snapshot:
    metrics, admission = Metrics(), Admission(3)
    metrics.observe(KEY, 15e-6)
    metrics.observe(KEY, 100.0)
    metrics.observe(("", "other", "", 404), 0.003)
    metrics.observe_compute(("m", "model"), 0.25)
    metrics.count_rows("m", Source.MODEL, 5)
    metrics.count_rows("m", Source.MODEL, 2)
    admission.take()
    admission.refused = 4
    return Snapshot.of(metrics, admission, Traffic(connections=9, buffered_bytes=100, lag_s=0.5))


def test_snapshot_holds_what_was_counted() -> None:
    snapshot = taken()
    counts = snapshot.requests[KEY]
    assert len(counts) == len(BUCKETS) + 2
    assert (counts[1], counts[len(BUCKETS)], sum(counts[:-1]), counts[-1]) == (1, 1, 2, 100.0 + 15e-6)
    assert snapshot.compute["m", "model"][-1] == 0.25
    assert snapshot.rows == {("m", "model"): 7}
    assert (snapshot.under_way, snapshot.places, snapshot.sheds) == (1, 3, 4)
    assert (snapshot.connections, snapshot.buffered_bytes, snapshot.lag_s) == (9, 100, 0.5)


def test_snapshot_stays_as_it_was() -> None:
    metrics = Metrics()
    metrics.observe(KEY, 1.0)
    snapshot = Snapshot.of(metrics, Admission(1), Traffic())
    metrics.observe(KEY, 1.0)
    metrics.observe(("m", "POST", "model", 200), 1.0)
    assert [counts[-1] for counts in snapshot.requests.values()] == [1.0]


def test_snapshot_is_read_as_it_was_told() -> None:
    assert Snapshot.from_json(taken().to_json()) == taken()


def test_total_adds_up() -> None:
    one = taken()
    other = dataclasses.replace(taken(), requests={KEY: [1] * 19, ("n", "GET", "", 404): [2] * 19}, rows={}, lag_s=0.1)
    total = Snapshot.total([one, other])
    assert total.requests[KEY] == [a + 1 for a in one.requests[KEY]]
    assert total.requests["n", "GET", "", 404] == [2] * 19
    assert total.requests["", "other", "", 404] == one.requests["", "other", "", 404]
    assert total.compute["m", "model"][-1] == 0.5
    assert total.rows == {("m", "model"): 7}
    assert (total.under_way, total.places, total.sheds) == (2, 6, 8)
    assert (total.connections, total.buffered_bytes, total.lag_s) == (18, 200, 0.5)
    assert (one, other.requests[KEY]) == (taken(), [1] * 19)  # what was added stays


def test_total_of_none() -> None:
    assert Snapshot.total([]) == Snapshot.of(Metrics(), Admission(0), Traffic())
