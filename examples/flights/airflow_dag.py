"""An Airflow 3 DAG: scores each day's flights with the production model, then checks the counts in its manifest.

Airflow needs nothing of foretable but the command on the workers' PATH. Correct the parameters below. A day is scored
once, however often it is run; run it by hand for another day with the parameter ``date``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import BaseOperator, CronDataIntervalTimetable, Param, dag, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

TRY_AGAIN = 75
MEANINGS = {64: "bad settings", 65: "bad data", 70: "a bug", TRY_AGAIN: "locked, or the storage is down"}

PARAMETERS = {
    "model": "flights",
    "registry": "hdfs:///models",
    "input": "hdfs:///flights/date={date}",
    "output": "hdfs:///scores/flights/date={date}",
    "date": Param("", type="string", pattern=r"^(\d{4}-\d{2}-\d{2})?$", description="default: the run's own day"),
    "min_rows": Param(1, type="integer", description="a day with fewer fails the check"),
    "max_bad_share": Param(0.01, type="number", description="of rows; a day with more in quarantine fails the check"),
}


class ForetableOperator(BaseOperator):
    """Runs a foretable command, and returns the last line that it printed.

    Exit code 75 fails the try, and Airflow's retries follow. Any other fails the task at once: bad settings, bad data
    and bugs are the same in the next try.
    """

    template_fields: Sequence[str] = ("arguments",)

    def __init__(self, *, arguments: Sequence[str], **settings: Any) -> None:  # Airflow's own
        super().__init__(**settings)
        self.arguments = list(arguments)

    @cached_property
    def hook(self) -> SubprocessHook:
        """What runs the process, and copies its output to the task's log."""
        return SubprocessHook()

    def execute(self, context: Any) -> str:  # noqa: ARG002 - Airflow's signature
        """Run the command."""
        done = self.hook.run_command(["foretable", *self.arguments])
        code = done.exit_code
        if code:
            failure = AirflowException if code == TRY_AGAIN else AirflowFailException
            message = f"foretable {self.arguments[0]}: exit code {code} ({MEANINGS.get(code, 'killed')}): {done.output}"
            raise failure(message)
        return str(done.output)

    def on_kill(self) -> None:
        """Stop the command with its task: it would go on, and hold its lock."""
        self.hook.send_sigterm()


@task
def check(result: str, params: dict[str, Any]) -> None:
    """Fail where the output's manifest counts too few rows, or too many that could not be scored."""
    manifest = json.loads(result)
    rows, scored, quarantined = (manifest[name] for name in ("rows", "scored", "quarantined"))
    where = f"scores {manifest['output']}"
    if rows != scored + quarantined:
        message = f"{where}: must have each of {rows} rows once; got {scored} scored and {quarantined} quarantined"
        raise AirflowFailException(message)
    if rows < params["min_rows"]:
        message = (
            f"{where}: must have {params['min_rows']} rows or more; got {rows}. See whether the day's data is whole"
        )
        raise AirflowFailException(message)
    if quarantined > params["max_bad_share"] * rows:
        message = (
            f"{where}: of {rows} rows at most {params['max_bad_share']:g} may be in quarantine; got {quarantined}: "
            f"{manifest['causes']}. See {manifest['quarantine']}"
        )
        raise AirflowFailException(message)


@dag(
    # The interval is yesterday, whatever Airflow's default timetable is: a run at 02:30 is for the day that is over.
    schedule=CronDataIntervalTimetable("30 2 * * *", timezone="UTC"),
    # The first day to score. Each since then is caught up with, one at a time: a day that is there already costs a
    # moment, and one that was missed while Airflow stood still is not forgotten.
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=True,
    max_active_runs=1,
    params=PARAMETERS,
    tags=["foretable"],
    doc_md=__doc__,
)
def flights_daily_scores() -> None:
    """Lay out the tasks."""
    score = ForetableOperator(
        task_id="score",
        arguments=[
            "score",
            "{{ params.model }}",
            "--registry={{ params.registry }}",
            "--input={{ params.input }}",
            "--output={{ params.output }}",
            "--date={{ params.date or data_interval_start | ds }}",
            "--lock",
            "--json",
        ],
        # After 1, 2, 4 and 8 minutes: longer than the lease of a killed run (65 s) and a failover of the storage.
        retries=4,
        retry_delay=timedelta(minutes=1),
        retry_exponential_backoff=2,
        execution_timeout=timedelta(hours=6),
    )
    check(score.output)


flights_daily_scores()
