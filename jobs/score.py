"""Score: answer every row of a data set, in batch.

``foretable score``, ``python -m jobs.score`` and ``spark-submit jobs/score.py`` are this program. The input is cut into
splits, each of which a task reads, scores and writes as one Parquet file; the output shows when all of it is there, so
a killed run leaves nothing that a reader can see, and a second run scores only the splits that are missing. A row that
cannot be scored goes to the output's quarantine, whole, with the cause, and costs no other row anything.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from engine.errors import BadSettings
from engine.registry import Registry
from jobs.outcome import recorded
from jobs.program import Parser, Result, add_common, positive, run
from jobs.runner_options import add_runner, runner_of
from jobs.scoring.bad_rows import BadRowLimit, listed_causes
from jobs.scoring.dataset import split_url
from jobs.scoring.format import FORMATS, FormatOptions
from jobs.scoring.job import Scored, score
from jobs.scoring.output import hidden_name
from jobs.scoring.settings import ScoreSettings
from jobs.scoring.split import SplitSize

_MOST_DAYS = 36_500  # a hundred years, so that every date has a four-digit year
_PLACES = re.compile(r"\{(\w*)\}")


def parser() -> Parser:
    """Return the program's options."""
    options = Parser(prog="foretable score", description=__doc__)
    options.add_argument("model", help="the model's name in the registry")
    data = options.add_argument_group("data")
    data.add_argument("--input", required=True, metavar="URL", help="a directory (Hive-style partitions too) or a file")
    data.add_argument("--output", required=True, metavar="URL", help="the directory that the scored rows go to")
    data.add_argument(
        "--date", type=_date, metavar="DATE", help="2026-01-31 or 2026-01-31T07: fills {date} (and {hour}) in both URLs"
    )
    data.add_argument("--format", choices=FORMATS, help="of the input; default: what the names of its files tell")
    data.add_argument(
        "--delimiter", default=",", metavar="C", help="between a CSV file's fields; default: a comma; tab: \\t"
    )
    data.add_argument("--multiline", action="store_true", help="quoted CSV fields may hold line breaks")
    answers = options.add_argument_group("answers")
    answers.add_argument("--label", default="production", help="which label's release answers; default: production")
    answers.add_argument("--release", type=positive, metavar="N", help="which release answers, instead of a label's")
    answers.add_argument(
        "--keep",
        type=_keep,
        metavar="COLUMNS",
        help="of the input, NAME or NAME:TYPE by commas; default: all; none: none",
    )
    answers.add_argument("--prefix", default="", help="before the names of the added columns; default: none")
    bad = options.add_argument_group("bad rows")
    bad.add_argument(
        "--max-bad-rows", type=_limit, metavar="N", help="a number or a share (0.5%%); more: exit 65; default: no limit"
    )
    bad.add_argument("--redact", default="", metavar="COLUMNS", help="keep these columns' values out of the quarantine")
    bad.add_argument(
        "--quarantine-days",
        type=_days,
        metavar="N",
        help="after so many `foretable quarantine purge` removes it; default: never",
    )
    bad.add_argument(
        "--batch-timeout-s",
        type=_seconds,
        default=600.0,
        metavar="S",
        help="how long the model may take for a batch; default: 600",
    )
    work = options.add_argument_group("work")
    work.add_argument("--lock", action="store_true", help="exit 75 while another run works on the same output")
    add_runner(work)
    work.add_argument("--split-mb", type=positive, default=256, metavar="N", help="of a split at most; default: 256")
    work.add_argument(
        "--split-rows", type=positive, default=2_000_000, metavar="N", help="of a split at most; default: 2,000,000"
    )
    add_common(options)
    return options


def settings_of(arguments: argparse.Namespace) -> ScoreSettings:
    """Return the settings that the arguments say.

    Raises:
        BadSettings: one makes no sense.
    """
    if arguments.date and not _PLACES.search(arguments.output):
        message = (
            f"--output must have a place for --date, {{date}} or {{hour}}; got {arguments.output!r}, the same for all. "
            "Put one in, or leave --date out"
        )
        raise BadSettings(message)
    return ScoreSettings(
        model=arguments.model,
        input=_filled(arguments.input, arguments.date, "--input"),
        output=_filled(arguments.output, arguments.date, "--output"),
        input_may_come=arguments.date is not None,
        label=arguments.label,
        release=arguments.release,
        format=arguments.format,
        options=FormatOptions(delimiter=_character(arguments.delimiter), multiline=arguments.multiline),
        keep=arguments.keep,
        prefix=arguments.prefix,
        redact=_listed(arguments.redact),
        max_bad_rows=arguments.max_bad_rows,
        batch_timeout_s=arguments.batch_timeout_s,
        quarantine_days=arguments.quarantine_days,
        size=SplitSize(size_bytes=arguments.split_mb << 20, rows=arguments.split_rows),
        lock=arguments.lock,
        quiet=arguments.json,
    )


def work(arguments: argparse.Namespace) -> Result:
    """Score as the arguments say."""
    done = score(
        Registry(arguments.registry),
        settings_of(arguments),
        runner_of(arguments),
    )
    return Result(summary(done), **asdict(done))


def summary(done: Scored) -> str:
    """Return what a run did, as people read it."""
    lines = [f"{done.output}: {done.scored:,} of {done.rows:,} rows scored by release {done.release}"]
    if not done.computed:
        lines[0] += "; it was there"
    else:
        rate = done.rows / max(done.seconds, 1e-9)
        found = f", {done.splits - done.computed} splits were there" if done.computed < done.splits else ""
        lines[0] += f" in {done.seconds:.1f} s ({rate:,.0f} rows/s, {done.runner} runner{found})"
    if done.quarantined:
        causes = listed_causes(done.causes)
        lines.append(f"{done.quarantine}: {done.quarantined:,} rows could not be: {causes}")
        lines.append(f"to look at them: foretable quarantine show {shlex.quote(done.output)}")
    return "\n".join(lines)


def _date(text: str) -> Mapping[str, str]:
    """Return what fills the places of a URL, by place; a day alone fills no ``{hour}``."""
    for form in ("%Y-%m-%d", "%Y-%m-%dT%H"):
        try:
            date = datetime.strptime(text, form)  # noqa: DTZ007 - a name of a directory, not a moment
        except ValueError:
            continue
        return {"date": f"{date:%Y-%m-%d}"} | ({"hour": f"{date:%H}"} if "%H" in form else {})
    message = f"must be a date such as 2026-01-31, or an hour such as 2026-01-31T07; got {text!r}"
    raise argparse.ArgumentTypeError(message)


def _filled(url: str, date: Mapping[str, str] | None, option: str) -> str:
    """Fill a URL's places."""
    places = date or {}

    def fill(match: re.Match[str]) -> str:
        if match[1] not in places:
            known = "{date} and {hour}, with --date" + (" and its hour" if match[1] == "hour" and places else "")
            message = f"{option} may have the places {known}; got {match[0]} in {url!r}"
            raise BadSettings(message)
        return places[match[1]]

    return _PLACES.sub(fill, url)


def _keep(text: str) -> tuple[str, ...]:
    names = _listed(text)
    if not names:
        message = f"must be names by commas, or none; got {text!r}"
        raise argparse.ArgumentTypeError(message)
    return () if names == ("none",) else names


def _limit(text: str) -> BadRowLimit:
    try:
        return BadRowLimit.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _days(text: str) -> int:
    days = positive(text)
    if days > _MOST_DAYS:
        message = f"must be {_MOST_DAYS:,} days or fewer; got {text!r}"
        raise argparse.ArgumentTypeError(message)
    return days


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        message = f"must be a number of seconds above 0; got {text!r}"
        raise argparse.ArgumentTypeError(message)
    return seconds


def _character(text: str) -> str:
    character = "\t" if text == r"\t" else text
    if len(character) != 1 or not character.isascii() or character in '"\r\n':
        message = f"--delimiter must be one ASCII character, or \\t; got {text!r}"
        raise BadSettings(message)
    return character


def _listed(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return run(parser(), recorded("foretable score", work, _outcomes), argv)


def _outcomes(arguments: argparse.Namespace) -> str:
    parent, name = split_url(settings_of(arguments).output)
    return f"{parent}/{hidden_name(name)}.outcome"


if __name__ == "__main__":
    sys.exit(main())
