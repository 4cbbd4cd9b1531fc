"""A program for Airflow's own Python: loads a DAG's file as Airflow does, runs it, and writes what it saw as JSON.

``python airflow_report.py DAG_ID DATE RUNS REPORT``: RUNS is a JSON list of configurations; ``timeout_s`` in one is how
long ``score`` may take, in its one try.
It imports nothing of this repository, which is not installed there.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.utils.db import initdb


def describe(dag: Any) -> dict[str, Any]:
    """Return what the scheduler sees of a DAG."""
    return {
        "schedule": f"{dag.timetable.expression} {dag.timetable.timezone}",
        "timetable": type(dag.timetable).__name__,
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "start_date": str(dag.start_date),
        "retries": {task.task_id: task.retries for task in dag.tasks},
        "retry_delay_s": dag.get_task("score").retry_delay.total_seconds(),
        "after": {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks},
    }


def run(dag: Any, date: str, conf: dict[str, Any]) -> dict[str, Any]:
    """Run a DAG as Airflow's scheduler would at this date, but without pauses between tries."""
    for task in dag.tasks:
        task.retry_delay, task.retry_exponential_backoff = timedelta(0), 0
    if timeout_s := conf.pop("timeout_s", None):
        score = dag.get_task("score")
        score.execution_timeout, score.retries = timedelta(seconds=timeout_s), 0
    done = dag.test(logical_date=datetime.fromisoformat(date).replace(tzinfo=UTC), run_conf=conf)
    return {
        "state": str(done.state),
        "tasks": {one.task_id: [str(one.state), one.try_number] for one in done.get_task_instances()},
    }


def main(dag_id: str, date: str, runs: str, report: str) -> None:
    """Write the report."""
    initdb()
    bag = DagBag()
    found: dict[str, Any] = {"errors": list(bag.import_errors.values()), "dags": sorted(bag.dags)}
    if dag := bag.dags.get(dag_id):
        found |= {"dag": describe(dag), "runs": [run(dag, date, one) for one in json.loads(runs)]}
    Path(report).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
