"""The instant from which on an answer is of no use, as a request's header tells it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import chain
from operator import attrgetter

from engine.errors import InvalidInput
from streaming.outcome import DEADLINE, Refused
from streaming.record import Headers, Record

# In milliseconds of Unix time: an instant, which holds over every hop.
DEADLINE_HEADER = "foretable-deadline"
_MOST_DIGITS = 15
_headers = attrgetter("headers")


def too_late(records: Sequence[Record]) -> dict[int, Refused]:
    """Return, by place, why requests cannot be asked in time: the disposition is DEADLINE where one has passed."""
    headers: list[Headers] = list(map(_headers, records))
    if DEADLINE_HEADER not in dict(chain.from_iterable(headers)):
        return {}
    found: dict[int, Refused] = {}
    now_ms = time.time() * 1000
    for place, pairs in enumerate(headers):
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
