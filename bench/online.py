"""``make bench-online``: the server's bars, each beside its peer in the same run and on the same cores.

Parts: ``lookup`` (table hits beside a bare hello), ``peers`` (one row by the model, beside mosec, LitServe, MLServer
and BentoML), ``bulk`` (10,000 rows in one request), ``change`` (a release that changes under full load) and
``overload`` (three times what a model can answer). Writes ``bench/results/online.json``, unless only some parts were
asked for. The models are published in a scratch registry first.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import harness
from bench.bars import online_bulk, online_change, online_lookup, online_overload, online_peers
from bench.online_models import Served, serve_all
from bench.parts import Parts
from engine.registry import Registry
from jobs.program import Parser, Result, positive, run

PARTS = Parts("online", "lookup", "peers", "bulk", "change", "overload")
# Different rows to ask for: many times what a processor's caches hold of the table's blocks.
_ROWS = 20_000


def parser() -> Parser:
    """Return the program's options."""
    options = PARTS.parser(__doc__)
    options.add_argument("--repeats", type=positive, default=3, metavar="N", help="of each comparison; default: 3")
    options.add_argument("--seconds", type=positive, default=4, metavar="S", help="of each load; default: 4")
    options.add_argument(
        "--minute", type=positive, default=60, metavar="S", help="seconds before and with the change; default: 60"
    )
    options.add_argument("--no-arrow", action="store_true", help="leave Arrow bodies out, and record nothing")
    return options


def measure(part: str, arguments: argparse.Namespace, served: Served, folder: Path) -> list[harness.Result]:
    """Measure one part."""
    repeats, seconds = arguments.repeats, float(arguments.seconds)
    if part == "lookup":
        return online_lookup.measure(PARTS.command, served, repeats=repeats, seconds=seconds)
    if part == "peers":
        return online_peers.measure(PARTS.command, served, folder, repeats=repeats, seconds=seconds)
    if part == "bulk":
        arrow = not arguments.no_arrow
        return online_bulk.measure(PARTS.command, served, folder, repeats=repeats, arrow=arrow)
    if part == "change":
        return online_change.measure(PARTS.command, served, minute_s=float(arguments.minute))
    return online_overload.measure(PARTS.command, served, seconds=2 * seconds)


def work(arguments: argparse.Namespace) -> Result:
    """Measure as the arguments say; record when it was everything."""
    wanted = PARTS.chosen(arguments)
    with tempfile.TemporaryDirectory(prefix="foretable-bench-") as name:
        folder = Path(name)
        print("models:", flush=True)
        served = serve_all(Registry(str(folder / "registry")), _ROWS)
        return PARTS.measure(
            wanted, lambda part: measure(part, arguments, served, folder), complete=not arguments.no_arrow
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return run(parser(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
