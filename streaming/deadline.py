"""Which requests are not asked, as their headers tell: mostly those whose answer is of no use any more."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import chain
from operator import attrgetter

from engine.errors import InvalidInput
from streaming.outcome import DEADLINE, Refused
from streaming.record import UNREADABLE, Headers, Record

# In milliseconds of Unix time: an instant, which holds over every hop.
DEADLINE_HEADER = "foretable-deadline"
_MOST_DIGITS = 15
_NAMES = {DEADLINE_HEADER, UNREADABLE[0][0]}
_headers = attrgetter("headers")


def unasked(records: Sequence[Record]) -> dict[int, Refused]:
    """Return, by place, why requests are not asked: the disposition is DEADLINE where one has passed."""
    headers: list[Headers] = list(map(_headers, records))
    if dict(chain.from_iterable(headers)).keys().isdisjoint(_NAMES):
        return {}
    found: dict[int, Refused] = {}
    now_ms = time.time() * 1000
    for place, pairs in enumerate(headers):
        if pairs is UNREADABLE:
            found[place] = Refused.by(InvalidInput("headers must have names in UTF-8; got others", cause="bad_headers"))
        for name, value in pairs:
            if name == DEADLINE_HEADER:
                refused = _refused(value or b"", now_ms)
                if refused is not None:
                    found[place] = refused
    return found


def _refused(value: bytes, now_ms: float) -> Refused | None:
    text = value.decode("latin-1")
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        message = f"header {DEADLINE_HEADER} must be Unix time in milliseconds; got {text[:40]!r}"
        return Refused.by(InvalidInput(message, cause="bad_deadline"))
    if int(text) < now_ms:
        message = f"the deadline passed {now_ms - int(text):.0f} ms before the model could be asked"
        return Refused(InvalidInput(message, cause="deadline"), DEADLINE)
    return None
