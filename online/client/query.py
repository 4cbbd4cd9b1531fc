"""One row as the query of a GET."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any
from urllib.parse import urlencode

# Past 2^53 a float no longer tells neighbouring integers apart, and is no category.
_EXACT_INTEGERS = 2.0**53
# Servers and what is before them take request lines of some 8 KiB.
_LONGEST = 4096


def row_query(row: Mapping[str, Any]) -> str | None:
    """Return the query, or None where the row has no such form: a list, a null, NaN, or too long a text.

    A whole float is written without its fraction: as a category ``7.0`` is ``7``, while the text ``7.0`` is another.
    """
    texts = {name: _text(value) for name, value in row.items()}
    if not texts or None in texts.values():
        return None
    query = urlencode(texts)
    return query if len(query) <= _LONGEST else None


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        number = float(value)
        if not math.isfinite(number):
            return None
        return str(int(number)) if number.is_integer() and abs(number) < _EXACT_INTEGERS else repr(number)
    return None
