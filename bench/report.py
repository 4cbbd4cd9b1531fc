"""``python -m bench.report``: each recorded figure beside its goal, on the terminal and in docs/measured.md.

The README has the figures that tell most, and all that fall short.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.harness import RESULTS, Result, goal_text, number_text, one_line, read_results
from engine.errors import ForetableError, InvalidInput

README = RESULTS.parents[1] / "README.md"
MEASURED = RESULTS.parents[1] / "docs" / "measured.md"
BEGIN = "<!-- bench:begin -->"
END = "<!-- bench:end -->"
SHORT = 65  # the exit code of bad data: a figure falls short, or a page is stale
# What the README has although it holds.
HEADLINES = (
    "score Parquet to Parquet, a release with its table, of predict_batch_udf with TensorFlow",
    "score Parquet to Parquet, a release with its table, of mapInArrow with LiteRT",
    "precompute, local runner, of 2 bare LiteRT processes",
    "flights, log loss over the best baseline's",
    "table in process, bulk from Arrow texts",
    "GET of a lookup, beside bare granian hello",
    "one row by the model, rate beside mosec",
    "one row by the model, rate beside LitServe",
    "one row by the model, rate beside MLServer",
    "one row by the model, rate beside BentoML",
    "10,000 rows of JSON by the model, rate beside Flask with a row loop",
    "release change under full load: requests failed",
    "overload: p99 of what is answered, beside that at capacity",
    "stream of small JSON, exactly once, kafka-python, rate beside a bare loop",
    "stream of small JSON, exactly once, confluent, rate beside a bare loop that answers",
    "stream of small JSON, exactly once, confluent, rate beside Quix Streams",
)


def table(results: Sequence[Result]) -> str:
    """Returns the Markdown table of the results; below it the machine, or one line per machine with its bars."""
    if not results:
        return "*Nothing measured yet: `make bench-main`.*"
    lines = ["| Bar | Measured | Goal | Holds | Command |", "|---|---:|---:|---|---|"]
    lines += [
        f"| {_cell(result.bar)} | {number_text(result.value)} {_cell(result.unit)} | {goal_text(result)} "
        f"| {'yes' if result.holds else '**no**'} | `{_cell(result.command)}` |"
        for result in results
    ]
    commands: dict[str, dict[str, None]] = {}
    for result in results:
        commands.setdefault(result.machine, {})[f"`{_cell(result.command)}`"] = None
    lines.append("")
    if len(commands) == 1:
        lines.append(f"Measured on: {next(iter(commands))}.")
    else:
        lines += [f"- {', '.join(names)} on: {machine}." for machine, names in commands.items()]
    return "\n".join(lines)


def fill(text: str, content: str, *, page: str = README.name, markers: tuple[str, str] = (BEGIN, END)) -> str:
    """Returns a page's text with the content between its two markers: the README's, unless another is named.

    Raises:
        InvalidInput: The markers are not there once each, in order.
    """
    begin, end = markers
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end or begin in rest or end in after:
        message = f"{page} must have {begin} and {end} once each, in this order. Put them where the content belongs."
        raise InvalidInput(message)
    return f"{before}{begin}\n{content}\n{end}{after}"


def headlines(results: Sequence[Result]) -> list[Result]:
    """Returns the results for the README."""
    return [result for result in results if result.bar in HEADLINES or not result.holds]


def main(argv: Sequence[str] | None = None, *, root: Path = README.parent, directory: Path = RESULTS) -> int:
    """Runs the program; returns its exit code: 65 where a figure falls short or a page is stale."""
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="change nothing; fail where a page's table is not that of the results"
    )
    arguments = parser.parse_args(argv)
    try:
        results = read_results(directory)
        pages = _pages(results, root)
        return check(pages) if arguments.check else report(results, pages)
    except ForetableError as err:
        print(f"bench.report: {err}", file=sys.stderr)
        return err.exit_code


def check(pages: Mapping[Path, str]) -> int:
    """Compares the pages with what they should be. Whether the figures hold is not asked."""
    stale = [page.name for page, text in pages.items() if page.read_text(encoding="utf-8") != text]
    if stale:
        message = f"{', '.join(stale)}: the table must be that of bench/results; got another. Run `make bench-report`."
        print(message, file=sys.stderr)
        return SHORT
    print(f"{', '.join(page.name for page in pages)}: the tables are current")
    return 0


def report(results: Sequence[Result], pages: Mapping[Path, str]) -> int:
    """Prints every figure, writes the pages and says whether all hold."""
    for result in results:
        print(one_line(result))
    for page, text in pages.items():
        page.write_text(text, encoding="utf-8")
    short = sum(not result.holds for result in results)
    print(f"{len(results)} figures, {short} fall short of their goals")
    return SHORT if short else 0


def _pages(results: Sequence[Result], root: Path) -> dict[Path, str]:
    """Returns the text of each page with its table of these results."""
    contents = {README: table(headlines(results)), MEASURED: table(results)}
    pages = {root / page.relative_to(README.parent): content for page, content in contents.items()}
    return {page: fill(page.read_text(encoding="utf-8"), content, page=page.name) for page, content in pages.items()}


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
