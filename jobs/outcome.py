"""What came of a run whose exit code nobody sees: a record in storage.

In YARN's cluster mode the driver runs in a container, and spark-submit ends with 0 or 1 whatever it ended with. There,
and only there, each attempt of a driver leaves ``<folder>/<application>-<attempt>.json`` with its exit code and its
message or result. A driver that was killed leaves none: YARN tells that itself.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from typing import Any

from engine.errors import ForetableError
from engine.manifest import new_manifest, now_text, seal
from engine.program import BUG
from engine.storage import open_storage
from jobs.program import Result
from jobs.runner import open_runner

KIND, VERSION = "outcome", 1
# Of the container that a process is in, as YARN tells it; the application's and its attempt's numbers are in it.
_CONTAINER = "CONTAINER_ID"
_NUMBERS = re.compile(r"container_(?:e\d+_)?(\d+_\d+)_(\d+)_\d+")

Work = Callable[[argparse.Namespace], Result]


def recorded(program: str, work: Work, folder_of: Callable[[argparse.Namespace], str]) -> Work:
    """Return a program's work that, in a container of YARN, records what came of it.

    Args:
        program: its name.
        work: what it does.
        folder_of: returns the URL of the directory for records.
    """

    def recording(arguments: argparse.Namespace) -> Result:
        try:
            result = work(arguments)
            _start_session()
        except ForetableError as error:
            _record(program, lambda: folder_of(arguments), exit_code=error.exit_code, message=str(error))
            raise
        except Exception as error:
            message = f"unexpected {type(error).__name__}: {error}"
            _record(program, lambda: folder_of(arguments), exit_code=BUG, message=message)
            raise
        _record(program, lambda: folder_of(arguments), exit_code=0, result=result.fields)
        return result

    return recording


def _start_session() -> None:
    """Start Spark where the work had no use for it: YARN takes a driver that never did for a failed one."""
    if _CONTAINER in os.environ and "PYSPARK_GATEWAY_PORT" in os.environ:
        open_runner("spark")


def _record(program: str, folder: Callable[[], str], **fields: Any) -> None:
    """Write the record; where that fails too, say so and leave the run's own end as it is."""
    found = _NUMBERS.fullmatch(os.environ.get(_CONTAINER, ""))
    if not found:
        return
    application, attempt = f"application_{found[1]}", int(found[2])
    record = new_manifest(
        KIND, VERSION, program=program, application=application, attempt=attempt, time=now_text(), **fields
    )
    try:
        open_storage(folder()).create(f"{application}-{attempt}.json", seal(record))
    except ForetableError as error:
        print(f"{program}: the outcome must be recorded; it was not: {error}", file=sys.stderr)
