"""``make bench-batch``: the scoring job's bars, each beside its peers in the same run.

Parts: ``compare`` (20 M rows Parquet to Parquet on two cores, by us and by each peer), ``grow`` (time and memory from
10 M to 200 M rows) and ``where`` (where the time goes). Writes ``bench/results/batch.json``, unless only some parts
were asked for.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bench import harness
from bench.bars import batch
from bench.batch_stages import print_stages
from engine.errors import BadSettings
from jobs.program import Parser, Result, positive, run
from jobs.runner import spark_is_installed

NAME = "batch"
COMMAND = "make bench-batch"
PARTS = ("compare", "grow", "where")


def parser() -> Parser:
    """Return the program's options."""
    options = Parser(prog="python -m bench.batch", description=__doc__)
    options.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all, and record")
    options.add_argument("--million-rows", type=positive, default=20, metavar="N", help="to compare by; default: 20")
    options.add_argument(
        "--most-million-rows", type=positive, default=200, metavar="N", help="to grow to; default: 200"
    )
    options.add_argument("--repeats", type=positive, default=3, metavar="N", help="of the comparison; default: 3")
    options.add_argument("--json", action="store_true", help="print the result as one line of JSON")
    options.add_argument("--debug", action="store_true", help="show the traceback of an unexpected error")
    return options


def work(arguments: argparse.Namespace) -> Result:
    """Measure as the arguments say; record when it was everything.

    Raises:
        BadSettings: a part is not known, or there is no Spark to compare with.
    """
    parts = arguments.parts or PARTS
    if unknown := set(parts) - set(PARTS):
        message = f"parts must be of {', '.join(PARTS)}; got {', '.join(sorted(unknown))}"
        raise BadSettings(message)
    results: list[harness.Result] = []
    for part in parts:
        print(f"{part}:", flush=True)
        if part == "where":
            print_stages()
        elif part == "grow":
            results += batch.grow(COMMAND, rows=arguments.most_million_rows * 1_000_000)
        else:
            if not spark_is_installed():
                message = "the peers need pyspark and Java 17 or 21 (make java)"
                raise BadSettings(message)
            rows = arguments.million_rows * 1_000_000
            results += batch.compare(COMMAND, rows=rows, repeats=arguments.repeats)
    if set(parts) == set(PARTS):
        harness.record(NAME, results)
    else:
        print("\n".join(map(harness.one_line, results)))
    short = sum(not result.holds for result in results)
    return Result(f"{len(results)} figures, {short} fall short", figures=len(results), short=short)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return run(parser(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
