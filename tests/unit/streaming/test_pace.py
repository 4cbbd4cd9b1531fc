from __future__ import annotations

import pytest

from streaming.pace import PROFILES, Pace


def settled(profile: str, *, record_s: float, fixed_s: float, rows: int = 1) -> Pace:
    pace = Pace(PROFILES[profile], limit=10_000)
    for _ in range(200):
        records = pace.most
        work_s = records * record_s
        pace.measured(records=records, rows=records * rows, work_s=work_s, whole_s=work_s + fixed_s)
    return pace


@pytest.mark.parametrize("profile, target_s", [("latency", 0.02), ("throughput", 0.5)])
def test_batch_takes_what_the_profile_wants(profile: str, target_s: float) -> None:
    pace = settled(profile, record_s=1e-4, fixed_s=0.005)
    assert pace.most * 1e-4 + 0.005 == pytest.approx(target_s, rel=0.05)


def test_dear_commit_is_worth_as_much_work() -> None:
    assert settled("latency", record_s=1e-4, fixed_s=0.1).most * 1e-4 == pytest.approx(0.1, rel=0.05)


def test_bounds() -> None:
    assert settled("throughput", record_s=1e-6, fixed_s=0.001).most == 10_000
    assert settled("latency", record_s=1.0, fixed_s=0.001).most == 16
    assert Pace(PROFILES["latency"], limit=3).most == 3


def test_rows_are_counted() -> None:
    pace = settled("latency", record_s=1e-3, fixed_s=0.001, rows=100)
    assert pace.rows_a_record == pytest.approx(100)
    assert pace.row_s == pytest.approx(1e-5)
