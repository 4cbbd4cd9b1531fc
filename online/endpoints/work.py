"""The part of an endpoint's answer that may take long."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from online.http.reply import Reply


class Work(NamedTuple):
    """What is left to do once a request has been looked at.

    Attributes:
        call: reads a body, asks the model, renders. May block and raise; any thread may call it, once.
        quick: whether the model that it asks takes next to no time for a few rows.
    """

    call: Callable[[], Reply]
    quick: bool
