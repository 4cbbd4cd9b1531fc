"""How many bad rows a job may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.errors import Refused


@dataclass(frozen=True)
class BadRowLimit:
    """A count or a share.

    Attributes:
        rows: how many, or None.
        share: of all rows, from 0 to 1, or None.
    """

    rows: int | None = None
    share: float | None = None

    @classmethod
    def parse(cls, text: str) -> BadRowLimit:
        """Read ``100`` (rows), ``0.5%`` or ``0.005`` (a share).

        Raises:
            ValueError: it is neither.
        """
        message = f"must be a number of rows, or a share such as 0.5% or 0.005; got {text!r}"
        try:
            if text.isascii() and text.isdecimal():
                return cls(rows=int(text))
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            raise ValueError(message) from None
        if not 0 <= share <= 1:
            raise ValueError(message)
        return cls(share=share)

    def check(self, bad: int, rows: int | None, causes: Mapping[str, int], examples: Mapping[str, str]) -> None:
        """Hold some rows against the limit.

        Args:
            bad: rows that could not be scored.
            rows: all rows; None while there are more to come, when only a count can be exceeded.
            causes: the bad rows by cause.
            examples: of each cause, one row's place and what is wrong with it.

        Raises:
            Refused: there are too many.
        """
        over = self.rows is not None and bad > self.rows
        if self.share is not None and rows is not None:
            over = bad > self.share * rows
        if over:
            allowed = f"{self.rows} rows" if self.share is None else f"{self.share:.3%} of the rows"
            found = f"{bad} of {rows}" if rows is not None else f"{bad} in one split"
            message = f"at most {allowed} may be bad (--max-bad-rows); got {found}: {listed_causes(causes)}"
            raise Refused("\n  ".join([message, *(f"{cause}: {text}" for cause, text in sorted(examples.items()))]))


def listed_causes(causes: Mapping[str, int]) -> str:
    """Return the causes as people read them, the most frequent first."""
    return ", ".join(f"{cause} {rows:,}" for cause, rows in sorted(causes.items(), key=lambda pair: -pair[1]))
