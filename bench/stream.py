"""``make bench-stream``: the stream's bars on one real broker, each beside its peers in the same run.

Parts: ``throughput`` (small JSON beside a bare loop of the same client, Quix Streams, and at least once), ``arrow``
(records of 1,000 rows), ``latency`` (an open loop at a quarter of what the profile can do) and ``trade`` (latency
against rate in both profiles: a table and a plot in ``docs``, written whenever it is measured, and no bar). Writes
``bench/results/stream.json``, unless only some parts were asked for. The model and its table are published in a scratch
registry first.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import orjson

from bench import harness
from bench.bars import stream_arrow, stream_latency, stream_throughput, stream_trade
from bench.online_models import Served, serve_lookup
from bench.parts import Parts
from bench.stream_broker import Broker
from bench.stream_sides import Backlog
from engine.registry import Registry
from jobs.program import Parser, Result, positive, run

PARTS = Parts("stream", "throughput", "arrow", "latency", "trade")
# Different rows to ask for: many times what a processor's caches hold of the table's blocks.
_ROWS = 20_000
# More than the fastest side does while it is measured.
_RECORDS = 2_000_000


def parser() -> Parser:
    """Return the program's options."""
    options = PARTS.parser(__doc__)
    options.add_argument("--repeats", type=positive, default=3, metavar="N", help="of each comparison; default: 3")
    options.add_argument("--seconds", type=positive, default=4, metavar="S", help="of each run; default: 4")
    return options


def work(arguments: argparse.Namespace) -> Result:
    """Measure as the arguments say; record when it was everything."""
    wanted = PARTS.chosen(arguments)
    with tempfile.TemporaryDirectory(prefix="foretable-bench-") as name:
        folder = Path(name)
        print("model, broker and requests:", flush=True)
        served = serve_lookup(Registry(str(folder / "registry")), _ROWS)
        with Broker(folder / "kafka") as broker, broker.topic("requests") as requests:
            broker.fill(requests, [orjson.dumps(row) for row in served.rows], _RECORDS)
            backlog = Backlog(broker, requests, _RECORDS)
            return PARTS.measure(wanted, lambda part: measure(part, arguments, served, backlog, folder))


def measure(
    part: str, arguments: argparse.Namespace, served: Served, backlog: Backlog, folder: Path
) -> list[harness.Result]:
    """Measure one part."""
    repeats, seconds = arguments.repeats, float(arguments.seconds)
    if part == "arrow":
        return stream_arrow.measure(PARTS.command, served, backlog.broker, repeats=repeats, seconds=seconds)
    if part == "latency":
        return stream_latency.measure(PARTS.command, served, backlog, repeats=repeats, seconds=seconds)
    if part == "trade":
        stream_trade.publish(stream_trade.measure(served, backlog, seconds=seconds))
        return []
    return stream_throughput.measure(PARTS.command, served, backlog, folder, repeats=repeats, seconds=seconds)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return run(parser(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
