"""Arrow records of 1,000 rows by the table, exactly once: rows a second in one process."""

from __future__ import annotations

from functools import partial
from statistics import median

import pyarrow as pa

from bench.harness import Result
from bench.online_models import Served
from bench.rates import interleaved
from bench.stream_broker import Broker
from bench.stream_process import CLIENTS
from bench.stream_sides import Backlog, Ours
from engine.wire.arrow_stream import write_arrow

ROWS = 1_000
# More than the fastest does while it is measured: some 50 kB each.
_RECORDS = 12_000
_GOAL = 1_000_000


def measure(command: str, served: Served, broker: Broker, *, repeats: int, seconds: float) -> list[Result]:
    """Measure both clients in turn. The columns are plain texts, as they come from Parquet or pandas."""
    table = pa.Table.from_pylist(served.rows)
    values = [write_arrow(table.slice(start, ROWS)) for start in range(0, len(table), ROWS)]
    with broker.topic("arrow") as requests:
        broker.fill(requests, values, _RECORDS)
        backlog = Backlog(broker, requests, _RECORDS)
        rates = interleaved(
            {client: partial(_rate, served, client, backlog, seconds) for client in CLIENTS}, repeats=repeats
        )
    size = len(values[0])
    print("  " + ", ".join(f"{name} {median(found):,.0f} records/s of {size:,} bytes" for name, found in rates.items()))
    return [
        Result(
            bar=f"stream of Arrow records of 1,000 rows, exactly once, {client}",
            value=median(found) * ROWS,
            unit="rows/s",
            goal=_GOAL,
            better="higher",
            command=command,
        )
        for client, found in rates.items()
    ]


def _rate(served: Served, client: str, backlog: Backlog, seconds: float) -> float:
    return Ours(served.registry, client).measure(backlog, seconds)[0]
