"""A program that was told to end ends in time, whatever it waits for."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_log = logging.getLogger(__name__)
# What aborting and leaving the group may take beyond --drain-s: milliseconds, where brokers answer. With more, an
# orchestrator would kill what waits for those that do not.
_LEAVE_S = 5.0
# What a thread may take to end that has nothing left to do.
_LAST_S = 1.0


def exit_despite(name: str, code: int) -> int:
    """Return the exit code, or end the process with it where a thread whose name begins so does not end.

    Python would wait for it, and a model that computes cannot be stopped.
    """
    for thread in threading.enumerate():
        if thread.name.startswith(name):
            thread.join(_LAST_S)
            if thread.is_alive():
                logging.shutdown()
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
    return code


@contextmanager
def ending_in_time(stop: threading.Event, drain_s: float) -> Iterator[None]:
    """While the context lasts, end the process some seconds after ``stop`` and ``drain_s``: brokers may be away.

    What is cut off so is what a killed one leaves: a transaction that nobody sees, and the next instance aborts.
    """
    ended = threading.Event()

    def watch() -> None:
        stop.wait()
        if not ended.wait(drain_s + _LEAVE_S):
            _log.warning("the brokers must answer within --drain-s %s and %g s; left without them", drain_s, _LEAVE_S)
            logging.shutdown()
            os._exit(0)

    threading.Thread(target=watch, name="grace", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
