"""Waiting on conditions: tests never sleep for a guessed time."""

from __future__ import annotations

import time
from collections.abc import Callable

_POLL_S = 0.01


def wait_until(condition: Callable[[], object], *, what: str, timeout_s: float = 60.0) -> None:
    """Return as soon as ``condition`` holds.

    Raises:
        TimeoutError: it did not within ``timeout_s``.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            message = f"waited {timeout_s:g} s until {what}; it did not come to that"
            raise TimeoutError(message)
        time.sleep(_POLL_S)
