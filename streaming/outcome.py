"""What becomes of one request."""

from __future__ import annotations

from typing import NamedTuple

from engine.errors import InvalidInput

# What is to be done about a dead letter: mend the request; try again; mend the model; ask sooner, or with more time.
POISON, TRANSIENT, MODEL, DEADLINE = DISPOSITIONS = ("poison", "transient", "model", "deadline")
_OF_THE_MODEL = {"model_not_finite", "model_overflows_codec", "model_failed"}


class Refused(NamedTuple):
    """A request that has no answer, and why.

    Attributes:
        error: its cause, feature and message.
        disposition: one of ``DISPOSITIONS``.
    """

    error: InvalidInput
    disposition: str

    @classmethod
    def by(cls, error: InvalidInput) -> Refused:
        """Return it with the disposition that the error's cause has."""
        return cls(error, MODEL if error.cause in _OF_THE_MODEL else POISON)
