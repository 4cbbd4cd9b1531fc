"""``make bench-main``: the main job's bars, each beside its peer in the same run.

Parts: ``precompute`` (100 M rows by the local runner, by bare LiteRT and by Spark, and the memory of workers),
``lookup`` (the table in process), ``server`` (start and memory) and ``quality`` (the model beside scikit-learn).
Writes ``bench/results/main.json``, unless only some parts were asked for. The flights model is trained and published
in a scratch registry first, or is taken from --registry.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence

from bench import harness
from bench.bars import lookup, precompute, quality, server
from bench.flights import MODEL, publish_flights
from bench.parts import Parts
from engine.errors import BadSettings
from engine.registry import Registry
from jobs.program import Parser, Result, positive, run
from jobs.runner import spark_is_installed

PARTS = Parts("main", "quality", "lookup", "server", "precompute")


def parser() -> Parser:
    """Return the program's options."""
    options = PARTS.parser(__doc__)
    options.add_argument("--registry", metavar="URL", help="has a release of flights; default: train and publish one")
    options.add_argument(
        "--rows", type=positive, default=100_000_000, metavar="N", help="rows to precompute; default: 100 M"
    )
    options.add_argument(
        "--lookup-rows", type=positive, default=4_000_000, metavar="N", help="rows to look up in bulk; default: 4 M"
    )
    options.add_argument("--repeats", type=positive, default=5, metavar="N", help="of short measurements; default: 5")
    options.add_argument("--long-repeats", type=positive, default=3, metavar="N", help="of long ones; default: 3")
    options.add_argument("--no-spark", action="store_true", help="leave the Spark runner out, and record nothing")
    return options


def measure(part: str, arguments: argparse.Namespace, registry: str) -> list[harness.Result]:
    """Measure one part."""
    if part == "quality":
        return quality.measure(PARTS.command, registry=registry)
    if part == "lookup":
        rows = arguments.lookup_rows
        return lookup.measure(PARTS.command, registry=registry, model=MODEL, rows=rows, repeats=arguments.repeats)
    if part == "server":
        return server.measure(PARTS.command, registry=registry, model=MODEL, repeats=arguments.repeats)
    spark = not arguments.no_spark
    return precompute.measure(PARTS.command, rows=arguments.rows, repeats=arguments.long_repeats, spark=spark)


def work(arguments: argparse.Namespace) -> Result:
    """Measure as the arguments say; record when it was everything.

    Raises:
        BadSettings: a part is not known, or there is no Spark and it was not left out.
    """
    wanted = PARTS.chosen(arguments)
    if "precompute" in wanted and not arguments.no_spark and not spark_is_installed():
        message = "the precompute part needs pyspark and Java 17 or 21 (make java); leave Spark out with --no-spark"
        raise BadSettings(message)
    with tempfile.TemporaryDirectory(prefix="foretable-bench-") as folder:
        registry = arguments.registry or folder
        if not arguments.registry and set(wanted) != {"precompute"}:
            publish_flights(Registry(registry))
        return PARTS.measure(wanted, lambda part: measure(part, arguments, registry), complete=not arguments.no_spark)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return run(parser(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
