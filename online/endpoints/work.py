"""The part of an endpoint's answer that may take long."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from online.endpoints.row_work import RowWork
from online.http.reply import Reply


class Work(NamedTuple):
    """What is left to do once a request's head has been looked at.

    Attributes:
        begin: reads a body, asks the model, renders; of one row alone it leaves the model's work to do. May block and
            raise; any thread may call it, once.
        quick: whether the model that it asks takes next to no time for a few rows.
    """

    begin: Callable[[], Reply | RowWork]
    quick: bool

    def answer(self) -> Reply:
        """Do all of it."""
        outcome = self.begin()
        return outcome if isinstance(outcome, Reply) else outcome.answer()
