"""``make bench-batch``: the scoring job's bars, each beside its peers in the same run.

Parts: ``compare`` (20 M rows Parquet to Parquet on two cores, by us and by each peer), ``grow`` (time and memory from
1 M to 200 M rows) and ``where`` (where the time goes). Writes ``bench/results/batch.json``, unless only some parts
were asked for.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bench import harness
from bench.bars import batch
from bench.batch_stages import print_stages
from bench.parts import Parts
from engine.errors import BadSettings
from jobs.program import Parser, Result, positive, run
from jobs.runner import spark_is_installed

PARTS = Parts("batch", "compare", "grow", "where")
MILLION = 1_000_000


def parser() -> Parser:
    """Return the program's options."""
    options = PARTS.parser(__doc__)
    options.add_argument("--rows", type=positive, default=20, metavar="N", help="millions to compare by; default: 20")
    options.add_argument("--most", type=positive, default=200, metavar="N", help="millions to grow to; default: 200")
    options.add_argument("--repeats", type=positive, default=3, metavar="N", help="of the comparison; default: 3")
    return options


def measure(part: str, arguments: argparse.Namespace) -> list[harness.Result]:
    """Measure one part."""
    if part == "where":
        print_stages()
        return []
    if part == "grow":
        return batch.grow(PARTS.command, rows=arguments.most * MILLION)
    return batch.compare(PARTS.command, rows=arguments.rows * MILLION, repeats=arguments.repeats)


def work(arguments: argparse.Namespace) -> Result:
    """Measure as the arguments say; record when it was everything.

    Raises:
        BadSettings: a part is not known, or there is no Spark to compare with.
    """
    wanted = PARTS.chosen(arguments)
    if "compare" in wanted and not spark_is_installed():
        message = "the peers need pyspark and Java 17 or 21 (make java)"
        raise BadSettings(message)
    return PARTS.measure(wanted, lambda part: measure(part, arguments))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return run(parser(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
