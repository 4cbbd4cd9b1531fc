"""Progress bars of what is read and sent."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from streaming.record import Partition, Record

# A bar that comes and goes within a second only flickers.
_DELAY_S = 1.0


def progress_bar(total: int | None, unit: str, *, quiet: bool = False) -> Any:  # tqdm is generic
    """Return a bar on standard error, shown where that is a terminal and the work takes longer than a second.

    Args:
        total: how many units there will be, or None where nobody knows yet.
        unit: of what, in the plural.
        quiet: no bar at all.
    """
    shown = sys.stderr.isatty() and not quiet
    return tqdm(total=total, unit=f" {unit}", disable=not shown, delay=_DELAY_S, file=sys.stderr)


@contextmanager
def offsets_bar(
    bounds: Mapping[Partition, tuple[int, int]], unit: str, *, quiet: bool
) -> Iterator[Callable[[Sequence[Record]], None]]:
    """Show a bar over the offsets of a topic, which are more than its records; yield what moves it on."""
    positions = {partition: first for partition, (first, _) in bounds.items()}
    with progress_bar(sum(end - first for first, end in bounds.values()), unit, quiet=quiet) as bar:

        def move(records: Sequence[Record]) -> None:
            for partition, offset in {record.partition: record.offset for record in records}.items():
                if offset >= positions.get(partition, offset + 1):  # what comes again after a fault was shown already
                    bar.update(offset + 1 - positions[partition])
                    positions[partition] = offset + 1

        yield move
