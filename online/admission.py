"""Admission: how many requests are under way at once that a thread of their own answers."""

from __future__ import annotations

from engine.errors import Unavailable


class Overloaded(Unavailable):
    """All places are taken: come back later."""


class Admission:
    """A number of places. Who finds none is refused at once: a line would move slower than it grows.

    Not thread-safe: it is of the event loop's thread.

    Attributes:
        places: how many there are.
        taken: how many of them are taken.
        refused: requests that found none, so far.
    """

    def __init__(self, places: int) -> None:
        """Begin with all places free."""
        self.places, self.taken, self.refused = places, 0, 0

    def take(self) -> None:
        """Take a place.

        Raises:
            Overloaded: there is none.
        """
        if self.taken == self.places:
            self.refused += 1
            message = f"{self.places} requests are under way already, as many as --max-concurrent allows. Try again"
            raise Overloaded(message)
        self.taken += 1

    def give_back(self) -> None:
        """Give a place back."""
        self.taken -= 1
