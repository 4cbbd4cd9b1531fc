"""What workers of one server share."""

from __future__ import annotations

import os
import time
from pathlib import Path

from online.admission import Admission
from online.http.traffic import Traffic
from online.metrics import Metrics
from online.snapshot import Snapshot
from online.team import Team


def counted(requests: int) -> Snapshot:
    metrics = Metrics()
    for _ in range(requests):
        metrics.observe(("m", "GET", "table", 200), 0.5)
    return Snapshot.of(metrics, Admission(2), Traffic(connections=1))


def test_total_is_of_what_all_have_told_last(tmp_path: Path) -> None:
    first, second = Team(str(tmp_path), 0), Team(str(tmp_path), 1)
    assert first.total().requests == {}
    first.tell(counted(3))
    second.tell(counted(1))
    first.tell(counted(5))
    for each in (first, second):
        total = each.total()
        assert total.requests["m", "GET", "table", 200][-1] == 3.0
        assert (total.places, total.connections) == (4, 2)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["0.counts", "1.counts"]


def test_total_reads_nothing_that_is_half_written(tmp_path: Path) -> None:
    team = Team(str(tmp_path), 0)
    team.tell(counted(1))
    (tmp_path / "1.new").write_bytes(b"{")
    assert team.total().connections == 1


def test_prune_removes_what_nobody_has_served_for_long(tmp_path: Path) -> None:
    team = Team(str(tmp_path), 0)
    team.tell(counted(1))
    for name, age_s in (("served", 7200), ("left", 7200), ("new", 0)):
        file = tmp_path / f"{name}.table"
        file.touch()
        os.utime(file, (time.time() - age_s,) * 2)
    team.prune(["served"])
    team.prune(["served"])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["0.counts", "new.table", "served.table"]
