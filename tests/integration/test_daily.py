"""The cron example: the script with the real ``foretable score``, each exit code by a stand-in, and cron's grammar."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.storage import open_storage
from jobs.lease import Lease
from tests.support.programs import BIN, ROOT, Finished, finish, start
from tests.support.synthetic import FINITE_NAME, publish_synthetic, synthetic_space

SCRIPT = ROOT / "examples" / "flights" / "daily.sh"
CRONTAB = ROOT / "examples" / "flights" / "crontab"
# Ends with the codes in `codes`, one a call and then 0, and keeps its arguments.
STAND_IN = """#!/bin/sh
cd "$(dirname "$0")"
echo "$@" >>calls
echo "progress of the run"
echo "foretable score: the reason" >&2
code=$(head -n 1 codes)
sed -i 1d codes
exit "${code:-0}"
"""


class Daily:
    """The script with a stand-in for foretable, which only ends with the exit codes it is told to."""

    def __init__(self, root: Path) -> None:
        self.logs, self._bin = root / "logs", root / "bin"
        self._bin.mkdir()
        (self._bin / "foretable").write_text(STAND_IN)
        (self._bin / "foretable").chmod(0o755)

    def run(self, *arguments: str, codes: Sequence[int] = (), settings: Mapping[str, str] | None = None) -> Finished:
        (self._bin / "codes").write_text("".join(f"{code}\n" for code in codes))
        environment = {
            "PATH": f"{self._bin}:/usr/bin:/bin",
            "REGISTRY": "/models",
            "INPUT": "/flights/date={date}",
            "OUTPUT": "/scores/date={date}",
            "LOGS": str(self.logs),
            "PAUSE_S": "0",
            **(settings or {}),
        }
        return finish(start(str(SCRIPT), *arguments, environment=environment))

    @property
    def calls(self) -> list[str]:
        calls = self._bin / "calls"
        return calls.read_text().splitlines() if calls.exists() else []

    def log(self) -> str:
        (log,) = self.logs.iterdir()
        return log.read_text()


@pytest.fixture
def daily(tmp_path: Path) -> Daily:
    return Daily(tmp_path)


def test_a_day_that_goes_well_says_nothing(daily: Daily) -> None:
    assert daily.run("2026-01-05") == Finished(0, "", "")
    assert daily.calls == [
        "score flights --registry /models --input /flights/date={date} --output /scores/date={date} "
        "--date 2026-01-05 --lock"
    ]
    (log,) = daily.logs.iterdir()
    assert re.fullmatch(r"flights-2026-01-05\.\d{8}T\d{6}Z\.\d+\.log", log.name)
    assert "progress of the run" in log.read_text()


def test_the_day_is_yesterday_in_utc(daily: Daily) -> None:
    before = datetime.now(UTC)
    assert daily.run(settings={"TZ": "Pacific/Kiritimati"}).code == 0  # 14 hours ahead
    days = {f"{moment - timedelta(days=1):%Y-%m-%d}" for moment in (before, datetime.now(UTC))}
    assert any(f"--date {day} " in daily.calls[0] for day in days)


def test_model_and_options_go_through(daily: Daily) -> None:
    assert daily.run("2026-01-05", settings={"MODEL": "hotels", "OPTIONS": "--runner spark --master yarn"}).code == 0
    assert daily.calls[0].startswith("score hotels ")
    assert daily.calls[0].endswith("--lock --runner spark --master yarn")


def test_75_is_tried_again(daily: Daily) -> None:
    assert daily.run("2026-01-05", codes=[75, 75]) == Finished(0, "", "")
    assert len(daily.calls) == 3
    assert "exit code 75 in try 2 of 5; again in 0 s" in daily.log()


def test_the_pauses_double(daily: Daily) -> None:
    sleep = daily.logs.parent / "bin" / "sleep"
    sleep.write_text(f'#!/bin/sh\necho "$1" >>{daily.logs.parent}/pauses\n')
    sleep.chmod(0o755)
    assert daily.run("2026-01-05", codes=[75] * 9, settings={"PAUSE_S": "60"}).code == 75
    assert (daily.logs.parent / "pauses").read_text().split() == ["60", "120", "240", "480"]


def test_75_is_tried_so_often_and_no_more(daily: Daily) -> None:
    done = daily.run("2026-01-05", codes=[75] * 9, settings={"TRIES": "3"})
    assert (done.code, len(daily.calls)) == (75, 3)
    assert done.err.startswith(
        "daily.sh: scores of flights for 2026-01-05: exit code 75 (still locked or down after 3 tries: see which, then "
        "run: daily.sh 2026-01-05).\n"
    )


@pytest.mark.parametrize(
    "code, words",
    [
        (64, "bad settings: correct the crontab"),
        (65, "bad data: correct the day's data or the model, then run: daily.sh 2026-01-05"),
        (70, "a bug: report it with the log"),
        (127, "foretable must be on PATH"),
        (130, "interrupted; what was finished is kept"),
        (137, "killed or unknown"),
    ],
)
def test_any_other_code_ends_it_aloud(daily: Daily, code: int, words: str) -> None:
    done = daily.run("2026-01-05", codes=[code])
    assert (done.code, done.out, len(daily.calls)) == (code, "", 1)
    first, log, *end = done.err.splitlines()
    assert first.startswith(f"daily.sh: scores of flights for 2026-01-05: exit code {code} ({words}")
    assert log.startswith(f"The end of {daily.logs}/flights-2026-01-05.")
    assert end == ["progress of the run", "foretable score: the reason"]


@pytest.mark.parametrize("code", [65, 70])
def test_after_75_another_code_ends_it(daily: Daily, code: int) -> None:
    done = daily.run("2026-01-05", codes=[75, code])
    assert (done.code, len(daily.calls)) == (code, 2)


@pytest.mark.parametrize("name", ["REGISTRY", "INPUT", "OUTPUT", "LOGS"])
def test_a_missing_setting_is_named(daily: Daily, name: str) -> None:
    done = daily.run("2026-01-05", settings={name: ""})
    assert (done.code, daily.calls) == (64, [])
    assert done.err == f"daily.sh: {name} must be set; got nothing. Set it in the crontab\n"


@pytest.mark.parametrize("day", ["yesterday", "2026-1-5", "../2026-01-05", "2026-01-05/x"])
def test_a_wrong_day_is_refused(daily: Daily, day: str) -> None:
    done = daily.run(day)
    assert (done.code, done.err) == (64, f"daily.sh: the day must be YYYY-MM-DD; got '{day}'\n")


def test_logs_that_cannot_be_written(daily: Daily) -> None:
    daily.logs.write_text("a file")
    done = daily.run("2026-01-05")
    assert (done.code, daily.calls) == (64, [])
    assert done.err.startswith(f"daily.sh: LOGS must be a directory that can be written; got '{daily.logs}'")


def test_two_runs_at_once_have_logs_of_their_own(daily: Daily) -> None:
    for _ in range(2):
        assert daily.run("2026-01-05").code == 0
    assert len(list(daily.logs.iterdir())) == 2


def crontab_lines() -> list[str]:
    text = CRONTAB.read_text()
    assert text.endswith("\n")  # cron ignores a last line without
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_crontab_is_in_cron_s_grammar() -> None:
    settings = [line for line in crontab_lines() if re.match(r"\w+=", line)]
    (job,) = [line for line in crontab_lines() if line not in settings]
    minute, hour, day, month, weekday, command = job.split(maxsplit=5)
    assert 0 <= int(minute) < 60
    assert 0 <= int(hour) < 24
    assert (day, month, weekday) == ("*", "*", "*")
    assert "%" not in command  # cron makes a line break of it
    assert Path(command).parts[-3:] == SCRIPT.parts[-3:]
    assert os.access(SCRIPT, os.X_OK)


def test_the_crontab_s_settings_are_those_of_the_script(daily: Daily) -> None:
    settings = dict(line.split("=", 1) for line in crontab_lines() if re.match(r"\w+=", line))
    assert set(settings) == {"MAILTO", "PATH", "REGISTRY", "INPUT", "OUTPUT", "LOGS"}
    assert "$" not in "".join(settings.values())  # cron expands nothing
    given = {name: settings[name] for name in ("REGISTRY", "INPUT", "OUTPUT")}
    assert daily.run("2026-01-05", settings=given).code == 0
    assert daily.calls == [
        "score flights --registry hdfs:///models --input hdfs:///flights/date={date} "
        "--output hdfs:///scores/flights/date={date} --date 2026-01-05 --lock"
    ]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a registry that has a release, and one day's rows; tests write their scores elsewhere."""
    root = tmp_path_factory.mktemp("data")
    publish_synthetic(str(root / "models"))
    space = synthetic_space()
    rows = [{name: str(value) for name, value in space.row(ordinal).items()} for ordinal in range(0, 9_000, 100)]
    (root / "flights" / "date=2026-01-05").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), root / "flights" / "date=2026-01-05" / "part.parquet")
    return root


class RealDay:
    """The script with the real foretable, on one day's rows."""

    def __init__(self, data: Path, root: Path) -> None:
        self.scores, self.lock = root / "scores", "_date%3D2026-01-05.lock"
        self.environment = {
            "PATH": f"{BIN}:/usr/bin:/bin",
            "MODEL": FINITE_NAME,
            "REGISTRY": str(data / "models"),
            "INPUT": str(data / "flights" / "date={date}"),
            "OUTPUT": str(self.scores / "date={date}"),
            "LOGS": str(root / "logs"),
            "OPTIONS": "--runner local --workers 1",
            "PAUSE_S": "0",
        }

    def start(self, **settings: str) -> subprocess.Popen[str]:
        return start(str(SCRIPT), "2026-01-05", environment=self.environment | settings)

    def files(self) -> dict[str, bytes]:
        folder = self.scores / "date=2026-01-05"
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def real(data: Path, tmp_path: Path) -> RealDay:
    return RealDay(data, tmp_path)


def test_a_day_is_scored_once_however_often_it_is_run(real: RealDay) -> None:
    assert finish(real.start()) == Finished(0, "", "")
    before = real.files()
    assert pq.read_table(real.scores / "date=2026-01-05").num_rows == 90
    assert finish(real.start()) == Finished(0, "", "")
    assert real.files() == before


def test_two_runs_of_a_day_at_once_do_no_harm(real: RealDay) -> None:
    runs = [real.start(PAUSE_S="1", TRIES="7") for _ in range(3)]
    assert [finish(run) for run in runs] == [Finished(0, "", "")] * 3
    assert pq.read_table(real.scores / "date=2026-01-05").num_rows == 90


def test_a_day_that_stays_locked_is_said(real: RealDay) -> None:
    with Lease(open_storage(str(real.scores)), real.lock):
        done = finish(real.start(TRIES="2"))
    assert done.code == 75
    assert "still locked or down after 2 tries" in done.err
    assert f"must be free; it is held by {os.uname().nodename} pid {os.getpid()} until" in done.err
    assert finish(real.start()) == Finished(0, "", "")


@pytest.mark.parametrize(
    "code, settings",
    [
        (64, {"REGISTRY": "/nowhere"}),
        (64, {"OPTIONS": "--no-such"}),
        (65, {"OPTIONS": "--runner local --max-bad-rows 0"}),
    ],
)
def test_a_real_failure_ends_it_aloud(real: RealDay, tmp_path: Path, code: int, settings: dict[str, str]) -> None:
    folder = tmp_path / "flights" / "date=2026-01-05"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"city": ["nowhere"], "plan": ["pro"], "age": ["33"], "size": ["1"]}), folder / "a.parquet")
    done = finish(real.start(INPUT=str(tmp_path / "flights" / "date={date}"), **settings))
    assert done.code == code
    assert done.err.startswith(f"daily.sh: scores of {FINITE_NAME} for 2026-01-05: exit code {code} (bad ")
    assert not (real.scores / "date=2026-01-05").exists()
