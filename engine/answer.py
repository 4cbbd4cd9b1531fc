"""Answers: values, and where they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.errors import InvalidInput


class Source(IntEnum):
    """Where an answer came from."""

    NONE = 0  # the row is at fault: there is no answer
    TABLE = 1
    MODEL = 2
    DEFAULT = 3

    @property
    def text(self) -> str:
        """The word that bodies, headers and data sets carry."""
        return _TEXTS[self]


# Looked up with every answer; an enum's own name takes longer to find than a table's values.
_TEXTS = tuple(source.name.lower() for source in Source)


class Answer(NamedTuple):
    """The answer to one row: ``width`` values, as Python floats that float32 holds exactly."""

    values: tuple[float, ...]
    source: Source


@dataclass(frozen=True)
class Answers:
    """The answers to a batch, in the order of its rows.

    Attributes:
        values: float32 of shape (n, width); NaN where a row is at fault.
        source: uint8 of shape (n,): a ``Source`` each.
        faults: row number -> why it has no answer.
    """

    values: npt.NDArray[np.float32]
    source: npt.NDArray[np.uint8]
    faults: dict[int, InvalidInput] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of rows, those at fault included."""
        return len(self.source)

    def part(self, start: int, stop: int) -> Answers:
        """Return the answers to the rows ``start`` to ``stop - 1``, which are numbered anew."""
        faults = {row - start: self.faults[row] for row in range(start, stop) if row in self.faults}
        return Answers(self.values[start:stop], self.source[start:stop], faults)

    def take(self, rows: Sequence[int]) -> Answers:
        """Return the answers to some rows, none of them at fault."""
        places = np.fromiter(rows, np.intp, len(rows))
        return Answers(self.values[places], self.source[places])

    def rows_by_source(self) -> dict[Source, int]:
        """Return how many rows each source answered; a source that answered none is left out."""
        counts = {source: int(np.count_nonzero(self.source == source.value)) for source in Source}
        return {source: count for source, count in counts.items() if count and source is not Source.NONE}
