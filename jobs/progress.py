"""Progress bars on long work."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm


def progress_bar(total: int, unit: str, what: str, *, quiet: bool = False) -> Any:  # tqdm is generic
    """Return a bar on standard error; where that is no terminal it prints a line every ten seconds at most.

    Args:
        total: how many units there are.
        unit: of what, in the plural: ``rows``.
        what: the step, as people read it.
        quiet: no bar at all.
    """
    interval_s = 0.1 if sys.stderr.isatty() else 10.0
    return tqdm(
        total=total,
        unit=f" {unit}",
        desc=what,
        unit_scale=total >= 10_000,  # else a bar of three splits reads 3.00
        disable=quiet,
        mininterval=interval_s,
        file=sys.stderr,
    )
