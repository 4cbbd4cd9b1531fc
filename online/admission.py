"""Admission: how many requests are under way at once that need more than a table lookup."""

from __future__ import annotations

from threading import Lock
from types import TracebackType

from engine.errors import Unavailable


class Overloaded(Unavailable):
    """All places are taken: come back later."""


class Admission:
    """A number of places. Who finds none is refused at once: waiting would take a thread that lookups need.

    Used as a context manager around reading a body and asking the model.

    Attributes:
        places: how many there are.
        refused: requests that found none, so far.
    """

    def __init__(self, places: int) -> None:
        """Begin with all places free."""
        self.places, self.refused = places, 0
        self._free = [None] * places  # popping and appending are atomic
        self._lock = Lock()

    @property
    def taken(self) -> int:
        """How many places are taken now."""
        return self.places - len(self._free)

    def __enter__(self) -> None:
        """Take a place.

        Raises:
            Overloaded: there is none.
        """
        try:
            self._free.pop()
        except IndexError:
            with self._lock:
                self.refused += 1
            message = f"{self.places} requests are under way already, as many as --max-concurrent allows. Try again"
            raise Overloaded(message) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the place back."""
        self._free.append(None)
