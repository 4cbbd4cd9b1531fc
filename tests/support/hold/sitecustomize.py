"""Holds a program at the moment before or after it makes a file visible, so that a test can kill it just there.

With this directory on ``PYTHONPATH``: a process that links a file to the name ``HOLD_NAME`` makes the file
``HOLD_REACHED`` and waits to be killed; before the link, or after it where ``HOLD_WHEN`` is ``after``.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

_link = os.link


def _hold() -> None:
    Path(os.environ["HOLD_REACHED"]).touch()
    while True:
        signal.pause()


def _held_link(source: Any, target: Any, **options: Any) -> None:
    here = Path(target).name == os.environ.get("HOLD_NAME")
    if here and os.environ.get("HOLD_WHEN") != "after":
        _hold()
    _link(source, target, **options)
    if here:
        _hold()


os.link = _held_link  # type: ignore[assignment]
