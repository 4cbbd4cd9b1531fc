"""The coercion table: what a raw value means, the same on every path.

===================  =================================  ==============================================
raw value            as a category                      as a number
===================  =================================  ==============================================
``"UA"``             its Unicode NFC form               refused
``7``, ``"7"``       ``"7"``                            7.0
``7.0``, ``-0.0``    ``"7"``, ``"0"``                   7.0, 0.0
``"7.0"``, ``"07"``  the texts ``"7.0"``, ``"07"``      7.0; refused (not JSON's grammar)
``7.5``              refused: bucket it                 7.5
``true``             ``"true"``                         refused
``null``, absent     refused                            refused
NaN, infinities      refused                            refused
Decimal("7")         ``"7"``                            7.0
other types          refused                            refused
===================  =================================  ==============================================

A category *is* its canonical text: two raw values are the same category exactly when their texts are equal. A number
*is* a float32: it is rounded there first (by way of float64), so that a float32 column and a JSON text agree on which
side of a bucket's edge they stand.
"""

from __future__ import annotations

import math
import re
import unicodedata
from decimal import Decimal

import numpy as np

from engine.errors import InvalidInput

# Strictly JSON's number grammar, which is also valid RE2 (the vectorised path runs it in Arrow).
NUMBER_PATTERN = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_NUMBER = re.compile(NUMBER_PATTERN)
# Past 2^53 a float64 no longer tells neighbouring integers apart.
_EXACT_INTEGERS = 2.0**53


def category_text(value: object) -> str:
    """Return the canonical text of a raw category.

    Raises:
        InvalidInput: the value cannot be a category; ``cause`` is ``null``, ``not_finite`` or ``wrong_type``.
    """
    if isinstance(value, str):
        return value if value.isascii() else unicodedata.normalize("NFC", value)
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating, Decimal)):
        return _integral_text(value)
    raise _refusal(value, "a text, an integer or a boolean")


def number_value(value: object) -> float:
    """Return a raw number rounded to float32, as a Python float.

    Raises:
        InvalidInput: not a number; ``cause`` is ``null``, ``not_finite``, ``out_of_range`` or ``wrong_type``.
    """
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        wide = float(value)
        if math.isinf(wide):
            raise _out_of_range(value)
    elif isinstance(value, (int, float, np.integer, np.floating, Decimal)) and not isinstance(value, bool):
        try:
            wide = float(value)
        except OverflowError as error:
            raise _out_of_range(value) from error
        if not math.isfinite(wide):
            raise _not_finite(wide)
    else:
        raise _refusal(value, "a number")
    with np.errstate(over="ignore"):
        narrow = float(np.float32(wide))
    if math.isinf(narrow):
        raise _out_of_range(value)
    return narrow + 0.0  # -0.0 becomes 0.0: they are one number and must give one answer


def _integral_text(value: float | np.floating | Decimal) -> str:
    if not math.isfinite(value):
        raise _not_finite(value)
    whole = int(value)
    if whole != value or (not isinstance(value, Decimal) and abs(whole) >= _EXACT_INTEGERS):
        message = f"must be a category; got the fraction or inexact float {value!r}. Declare it Bucketed or Number"
        raise InvalidInput(message, cause="wrong_type")
    return str(whole)


def _not_finite(value: object) -> InvalidInput:
    return InvalidInput(f"must be finite; got {value}", cause="not_finite")


def _out_of_range(value: object) -> InvalidInput:
    return InvalidInput(f"must fit a float32; got {str(value)[:40]}", cause="out_of_range")


def _refusal(value: object, wanted: str) -> InvalidInput:
    if value is None:
        return InvalidInput(f"must be {wanted}; got null", cause="null")
    return InvalidInput(f"must be {wanted}; got {type(value).__name__} {str(value)[:40]!r}", cause="wrong_type")
