"""The scrubber: a background thread that checks every block of the served tables again and again.

A block is checked when it is first touched. What goes bad after that (a disk, a memory chip) is found here.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any

from engine.holder import Holder
from engine.table import DenseTable

_PAUSE_WITHOUT_TABLES_S = 5.0


class Scrubber:
    """Checks one block at a time, evenly spread over the time that a whole pass may take."""

    def __init__(self, holder: Holder[Any], pass_s: float) -> None:
        """Prepare; ``start`` begins. ``pass_s`` is how long checking all blocks once may take, in seconds."""
        self._holder, self._pass_s = holder, pass_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scrubber", daemon=True)

    def start(self) -> None:
        """Check in the background until ``stop``."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the block under way."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._pass()

    def _pass(self) -> None:
        """Check all blocks of what is served now once."""
        tables = {
            id(table): table for table in (s.predictor.table for s in self._holder.current.copy().values()) if table
        }
        blocks = sum(table.blocks for table in tables.values())
        # Weak: a release that is swapped out in the meantime must be freed.
        found = [(weakref.ref(table), table.blocks) for table in tables.values()]
        tables.clear()
        if not found:
            self._stop.wait(_PAUSE_WITHOUT_TABLES_S)
        for table, count in found:
            self._check(table, count, self._pass_s / blocks)

    def _check(self, reference: weakref.ref[DenseTable], blocks: int, pause_s: float) -> None:
        for block in range(blocks):
            if self._stop.wait(pause_s):
                return
            table = reference()
            if table is None:
                return
            table.check_block(block)
            del table
