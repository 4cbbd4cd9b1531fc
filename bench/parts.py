"""A benchmark in parts: all of them make a record, some are for looking."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from bench import harness
from engine.errors import BadSettings
from jobs.program import Parser, Result, add_common


class Parts:
    """The parts of a benchmark, in the order in which they are measured."""

    def __init__(self, name: str, *parts: str) -> None:
        """Name the benchmark and its parts."""
        self.name, self.all = name, parts
        self.command = f"make bench-{name}"

    def parser(self, description: str | None) -> Parser:
        """Return the options that every benchmark has."""
        options = Parser(prog=f"python -m bench.{self.name}", description=description)
        options.add_argument(
            "parts", nargs="*", metavar="PART", help=f"of {', '.join(self.all)}; default: all, and record"
        )
        add_common(options, registry=False)
        return options

    def chosen(self, arguments: argparse.Namespace) -> Sequence[str]:
        """Return the parts to measure.

        Raises:
            BadSettings: one is not known.
        """
        wanted: Sequence[str] = arguments.parts or self.all
        if unknown := set(wanted) - set(self.all):
            message = f"parts must be of {', '.join(self.all)}; got {', '.join(sorted(unknown))}"
            raise BadSettings(message)
        return wanted

    def measure(
        self, wanted: Sequence[str], one: Callable[[str], list[harness.Result]], *, complete: bool = True
    ) -> Result:
        """Measure the parts; record the figures where these are all, and nothing was left out."""
        results: list[harness.Result] = []
        for part in wanted:
            print(f"{part}:", flush=True)
            results += one(part)
        if complete and set(wanted) == set(self.all):
            harness.record(self.name, results)
        else:
            print("\n".join(map(harness.one_line, results)))
        short = sum(not result.holds for result in results)
        return Result(f"{len(results)} figures, {short} fall short", figures=len(results), short=short)
