"""When a request is tried again, and after how long."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

# Answers that say "not now". The request changed nothing, so asking again is safe: a prediction is a pure function of
# its row and the release, by POST as by GET (RFC 9110 lets a client retry a POST that it knows to be idempotent).
RETRIED = frozenset({429, 502, 503, 504})
# The first pause is up to 0.1 s, the next up to 0.2 s and so on: a worker that is replaced is back within some of
# them. Above 10 s a server that is back would idle while its clients still pause.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 10.0
# Of many clients that were told the same Retry-After, each comes up to a quarter later, lest all come at once.
_SPREAD = 0.25


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """Return how long a ``Retry-After`` header asks to wait (RFC 9110, 10.2.3), or None without a readable one.

    A date is compared to the answer's own ``Date`` where there is one: two clocks need not agree.

    Args:
        headers: of the answer, found by names in any case.
        now: ``time.time`` seconds.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    until = _instant(text)
    if until is None:
        return None
    sent = _instant(headers.get("Date", ""))
    return max(0.0, until - (now if sent is None else sent))


def _instant(text: str) -> float | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter: a year of many digits
        return None
    # RFC 5322's "-0000" gives no zone; HTTP dates are in UTC.
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


class Retry:
    """The tries of one request.

    Attributes:
        tries: how many have begun.
    """

    def __init__(
        self,
        retries: int,
        limit_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Begin the first try.

        Args:
            retries: how many may follow.
            limit_s: how long all may take together, pauses too.
            clock: seconds.
            chance: uniform in [0, 1).
        """
        self.tries = 1
        self._retries, self._limit_s = retries, limit_s
        self._clock, self._chance, self._started = clock, chance, clock()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first try began."""
        return self._clock() - self._started

    @property
    def left_s(self) -> float:
        """Seconds that are left of the limit, never below 0."""
        return max(0.0, self._limit_s - self.elapsed_s)

    def next_pause_s(self, asked_s: float | None = None) -> float | None:
        """Count one more try and return the pause before it, or None where there may be none.

        Never shorter than the server asked. Else exponential with full jitter, which spreads clients that failed
        together best (M. Brooker, "Exponential Backoff And Jitter", 2015).
        """
        if asked_s is None:
            pause = self._chance() * min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** (self.tries - 1))
        else:
            pause = asked_s * (1 + _SPREAD * self._chance())
        if self.tries > self._retries or pause >= self.left_s:
            return None
        self.tries += 1
        return pause
