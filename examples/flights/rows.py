"""Write the flights as a data set to score, a directory a day: ``python -m examples.flights.rows rows``.

``rows/date=2013-01-01/flights.parquet`` and so on: an id, and the features as they were known before take-off.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import AlreadyExists
from engine.storage import open_storage
from examples.flights.data import label, read_flights
from jobs.program import Parser, Result, add_common, positive, run


def write_rows(url: str, days: int | None = None) -> int:
    """Write the flights of each day, or of the first ``days``, where they are not yet; return how many flights."""
    storage = open_storage(url)
    rows, day_of_year = label(read_flights())
    rows = rows.drop_columns(["on_time"]).add_column(0, "id", pa.array(np.arange(len(rows))))
    written = 0
    for day in np.unique(day_of_year)[:days].tolist():
        date = np.datetime64("2013-01-01") + (day - 1)
        flights = rows.filter(pa.array(day_of_year == day))
        written += len(flights)
        try:
            with pa.BufferOutputStream() as buffer:
                pq.write_table(flights, buffer)
                storage.create(f"date={date}/flights.parquet", buffer.getvalue().to_pybytes())
        except AlreadyExists:
            continue
    return written


def parser() -> Parser:
    """Return the program's options."""
    options = Parser(prog="python -m examples.flights.rows", description=__doc__)
    options.add_argument("url", help="the directory to write to: a path, hdfs:// or s3://")
    options.add_argument("--days", type=positive, metavar="N", help="only the first N days of 2013; default: all")
    add_common(options, registry=False)
    return options


def work(arguments: argparse.Namespace) -> Result:
    """Write as the arguments say."""
    written = write_rows(arguments.url, arguments.days)
    return Result(f"{arguments.url}: {written:,} flights, a directory a day", rows=written)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return run(parser(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
