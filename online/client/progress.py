"""The bar that a long call shows."""

from __future__ import annotations

import sys
from typing import NoReturn

from tqdm import tqdm

# A bar that comes and goes within a second only flickers.
_DELAY_S = 1.0


def progress_bar(rows: int | None, *, show: bool | None) -> tqdm[NoReturn]:
    """Return a bar of rows on stderr.

    Args:
        rows: how many there will be, or None where nobody knows.
        show: None shows it where stderr is a terminal, and the call takes longer than a second.
    """
    shown = sys.stderr.isatty() if show is None else show
    return tqdm(total=rows, unit=" rows", unit_scale=True, disable=not shown, delay=0 if show else _DELAY_S)
