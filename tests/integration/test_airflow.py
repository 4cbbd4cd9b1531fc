"""The Airflow example: the real Airflow loads it, and runs it with the real ``foretable score``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.programs import BIN, ROOT, finish, start
from tests.support.services import missing_service
from tests.support.synthetic import FINITE_NAME, publish_synthetic, synthetic_space
from tests.support.waiting import wait_until

PYTHON = ROOT / ".venv-airflow" / "bin" / "python"
DAG = ROOT / "examples" / "flights" / "airflow_dag.py"
# Is locked once, and then foretable; on the registry /hang it never ends.
FORETABLE = """#!/bin/sh
case "$*" in *--registry=/hang*) echo $$ >"{folder}/hanging"; exec sleep 300 ;; esac
if mkdir "{folder}/tried" 2>/dev/null; then exit 75; fi
exec "{foretable}" "$@" --runner local --workers 1
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """What Airflow saw, and how four runs of a day ended: well, with many bad rows, without a registry, never."""
    if not (PYTHON.parent.parent / ".installed").exists():
        missing_service("Airflow in .venv-airflow", "Run `make airflow`")
    root = tmp_path_factory.mktemp("airflow")
    publish_synthetic(str(root / "models"))
    space = synthetic_space()
    rows = [{name: str(value) for name, value in space.row(ordinal).items()} for ordinal in range(0, 9_000, 1_000)]
    (root / "flights" / "date=2026-01-04").mkdir(parents=True)
    bad = dict(rows[0], city="nowhere")
    pq.write_table(pa.Table.from_pylist([*rows, bad]), root / "flights" / "date=2026-01-04" / "part.parquet")

    for name in ("bin", "dags"):
        (root / name).mkdir()
    shutil.copy(DAG, root / "dags")
    (root / "bin" / "foretable").write_text(FORETABLE.format(folder=root, foretable=BIN / "foretable"))
    (root / "bin" / "foretable").chmod(0o755)
    well = {
        "model": FINITE_NAME,
        "registry": str(root / "models"),
        "input": str(root / "flights" / "date={date}"),
        "output": str(root / "scores" / "date={date}"),
        "max_bad_share": 0.1,
    }
    runs = [
        well,
        {**well, "max_bad_share": 0.05},
        {**well, "registry": str(root / "nothing")},
        {**well, "registry": "/hang", "timeout_s": 1},
    ]
    environment = {
        "AIRFLOW_HOME": str(root),
        "AIRFLOW__CORE__DAGS_FOLDER": str(root / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PATH": f"{root / 'bin'}:/usr/bin:/bin",
    }
    program, written = ROOT / "tests" / "support" / "airflow_report.py", root / "report.json"
    done = finish(
        start(
            *(str(PYTHON), str(program), "flights_daily_scores", "2026-01-05T02:30", json.dumps(runs), str(written)),
            environment=environment,
        )
    )
    assert done.code == 0, done.out[-4_000:] + done.err[-4_000:]
    found: dict[str, Any] = json.loads(written.read_text())
    found["scores"] = sorted(path.name for path in (root / "scores" / "date=2026-01-04").iterdir())
    found["out"] = done.out + done.err
    found["hanging"] = int((root / "hanging").read_text())
    return found


def test_airflow_loads_the_file(report: Mapping[str, Any]) -> None:
    assert report["errors"] == []
    assert report["dags"] == ["flights_daily_scores"]


def test_the_schedule_is_daily_and_catches_up_one_by_one(report: Mapping[str, Any]) -> None:
    assert report["dag"] == {
        "schedule": "30 2 * * * UTC",
        "timetable": "CronDataIntervalTimetable",
        "catchup": True,
        "max_active_runs": 1,
        "start_date": "2026-01-01 00:00:00+00:00",
        "retries": {"score": 4, "check": 0},
        "retry_delay_s": 60.0,
        "after": {"score": ["check"], "check": []},
    }


def test_exit_code_75_is_tried_again_and_the_day_is_the_interval_s(report: Mapping[str, Any]) -> None:
    assert report["runs"][0] == {"state": "success", "tasks": {"score": ["success", 2], "check": ["success", 1]}}
    assert "_manifest.json" in report["scores"]


def test_too_many_bad_rows_fail_the_check(report: Mapping[str, Any]) -> None:
    assert report["runs"][1] == {"state": "failed", "tasks": {"score": ["success", 1], "check": ["failed", 1]}}
    assert "of 10 rows at most 0.05 may be in quarantine; got 1: {'unknown_category': 1}" in report["out"]


def test_any_other_exit_code_fails_at_once(report: Mapping[str, Any]) -> None:
    assert report["runs"][2] == {
        "state": "failed",
        "tasks": {"score": ["failed", 1], "check": ["upstream_failed", 0]},
    }
    assert "foretable score: exit code 64 (bad settings)" in report["out"]


def test_a_run_that_takes_too_long_is_stopped_with_its_process(report: Mapping[str, Any]) -> None:
    assert report["runs"][3]["tasks"]["score"] == ["failed", 1]
    wait_until(lambda: not psutil.pid_exists(report["hanging"]), what="the process had ended")
