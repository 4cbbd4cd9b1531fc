"""Which letters are meant."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from streaming.letters.letter import Letter
from streaming.outcome import DISPOSITIONS

_SPAN = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What a letter must be to be meant.

    Attributes:
        dispositions: one of these; any where there are none.
        causes: one of these; any where there are none.
        since_s: not written before, in Unix time.
    """

    dispositions: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    since_s: float | None = None

    @property
    def since_ms(self) -> int:
        """The same in whole milliseconds, as records have it; 0 where all are meant."""
        return max(round(self.since_s * 1000), 0) if self.since_s is not None else 0

    def has(self, letter: Letter) -> bool:
        """Whether the letter is meant."""
        if self.dispositions and letter.disposition not in self.dispositions:
            return False
        if self.causes and letter.cause not in self.causes:
            return False
        return self.since_s is None or letter.record.timestamp_ms >= self.since_ms


def dispositions(given: str) -> tuple[str, ...]:
    """Read dispositions joined by commas."""
    found = tuple(given.split(","))
    if not set(found) <= set(DISPOSITIONS):
        message = f"of {', '.join(DISPOSITIONS)}, joined by commas"
        raise ValueError(message)
    return found


def instant(given: str) -> float:
    """Read an instant as Unix time: ISO 8601 (UTC where it does not say), or how long ago: ``90s``, ``30m``, ``7d``."""
    span = _SPAN.fullmatch(given)
    if span:
        return time.time() - _UNITS_S[span[2]] * int(span[1])
    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        message = "a time such as 2026-01-31T12:00 or, for how long ago, 90s, 30m, 2h, 7d"
        raise ValueError(message) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
