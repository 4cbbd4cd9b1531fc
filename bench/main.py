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
from engine.errors import BadSettings
from engine.registry import Registry
from jobs.program import Parser, Result, positive, run
from jobs.runner import spark_is_installed

NAME = "main"
COMMAND = "make bench-main"
PARTS = ("quality", "lookup", "server", "precompute")


def parser() -> Parser:
    """Return the program's options."""
    options = Parser(prog="python -m bench.main", description=__doc__)
    options.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all, and record")
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
    options.add_argument("--json", action="store_true", help="print the result as one line of JSON")
    options.add_argument("--debug", action="store_true", help="show the traceback of an unexpected error")
    return options


def measure(part: str, arguments: argparse.Namespace, registry: str) -> list[harness.Result]:
    """Measure one part."""
    print(f"{part}:", flush=True)
    if part == "quality":
        return quality.measure(COMMAND, registry=registry)
    if part == "lookup":
        rows = arguments.lookup_rows
        return lookup.measure(COMMAND, registry=registry, model=MODEL, rows=rows, repeats=arguments.repeats)
    if part == "server":
        return server.measure(COMMAND, registry=registry, model=MODEL, repeats=arguments.repeats)
    spark = not arguments.no_spark
    return precompute.measure(COMMAND, rows=arguments.rows, repeats=arguments.long_repeats, spark=spark)


def work(arguments: argparse.Namespace) -> Result:
    """Measure as the arguments say; record when it was everything.

    Raises:
        BadSettings: a part is not known, or there is no Spark and it was not left out.
    """
    parts = arguments.parts or PARTS
    if unknown := set(parts) - set(PARTS):
        message = f"parts must be of {', '.join(PARTS)}; got {', '.join(sorted(unknown))}"
        raise BadSettings(message)
    if "precompute" in parts and not arguments.no_spark and not spark_is_installed():
        message = "the precompute part needs pyspark and Java 17 or 21 (make java); leave Spark out with --no-spark"
        raise BadSettings(message)
    results: list[harness.Result] = []
    with tempfile.TemporaryDirectory(prefix="foretable-bench-") as folder:
        registry = arguments.registry or folder
        if not arguments.registry and set(parts) != {"precompute"}:
            publish_flights(Registry(registry))
        for part in parts:
            results += measure(part, arguments, registry)
    if set(parts) == set(PARTS) and not arguments.no_spark:
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
