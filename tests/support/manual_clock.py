"""A clock that a test moves by hand."""

from __future__ import annotations


class ManualClock:
    """Stands still until it is told to go on; called, it gives seconds since the epoch."""

    def __init__(self, now: float = 1_767_225_600.0) -> None:
        """Begin at a moment; by default 2026-01-01T00:00:00Z."""
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
