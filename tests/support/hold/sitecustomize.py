"""Holds a program at the moment before or after it makes a file visible, so that a test can kill it just there.

With this directory on ``PYTHONPATH``: the first process that links a file to the name ``HOLD_NAME`` makes the file
``HOLD_REACHED``, which has its process id, and waits to be killed; before the link, or after it where ``HOLD_WHEN`` is
``after``.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

_link = os.link


def _hold() -> None:
    reached = Path(os.environ["HOLD_REACHED"])
    written = reached.with_name(f"{reached.name}.{os.getpid()}")
    written.write_text(str(os.getpid()))
    written.rename(reached)
    while True:
        signal.pause()


def _held_link(source: Any, target: Any, **options: Any) -> None:
    here = Path(target).name == os.environ.get("HOLD_NAME") and not Path(os.environ["HOLD_REACHED"]).exists()
    if here and os.environ.get("HOLD_WHEN") != "after":
        _hold()
    _link(source, target, **options)
    if here:
        _hold()


os.link = _held_link  # type: ignore[assignment]
