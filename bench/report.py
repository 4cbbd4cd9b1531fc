"""``python -m bench.report``: each recorded figure beside its goal, on the terminal and in the README's table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.harness import RESULTS, Result, goal_text, number_text, one_line, read_results
from engine.errors import ForetableError, InvalidInput

README = RESULTS.parents[1] / "README.md"
BEGIN = "<!-- bench:begin -->"
END = "<!-- bench:end -->"
SHORT = 65  # the exit code of bad data: a figure falls short, or the README is stale


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


def main(argv: Sequence[str] | None = None, *, readme: Path = README, directory: Path = RESULTS) -> int:
    """Runs the program; returns its exit code: 65 where a figure falls short or the README is stale."""
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="change nothing; fail where the README's table is not that of the results"
    )
    arguments = parser.parse_args(argv)
    try:
        return check(readme, directory) if arguments.check else report(readme, directory)
    except ForetableError as err:
        print(f"bench.report: {err}", file=sys.stderr)
        return err.exit_code


def check(readme: Path, directory: Path) -> int:
    """Compares the README's table with the results. Whether they hold is not asked."""
    text = readme.read_text(encoding="utf-8")
    if fill(text, table(read_results(directory))) == text:
        print("README.md: the table is current")
        return 0
    print("README.md: the table must be that of bench/results; got another. Run `make bench-report`.", file=sys.stderr)
    return SHORT


def report(readme: Path, directory: Path) -> int:
    """Prints every figure, writes the README's table and says whether all hold."""
    results = read_results(directory)
    for result in results:
        print(one_line(result))
    text = readme.read_text(encoding="utf-8")
    filled = fill(text, table(results))
    if filled != text:
        readme.write_text(filled, encoding="utf-8")
    short = sum(not result.holds for result in results)
    print(f"{len(results)} figures, {short} fall short of their goals")
    return SHORT if short else 0


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
