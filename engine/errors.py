"""Errors of the engine: the class is the caller's next move.

No transport in here: ``online`` maps these to HTTP codes, ``streaming`` to dead letters or back-off, and the
programs to the exit code each class carries.
"""

from __future__ import annotations


class ForetableError(Exception):
    """Base of every error raised on purpose. ``exit_code`` is what a program ends with."""

    exit_code = 70


class InvalidInput(ForetableError):
    """The data is at fault: fix the row.

    Attributes:
        cause: a stable word for counters and quarantines, e.g. ``unknown_category``.
        feature: the feature at fault, or None where the row as a whole is.
    """

    exit_code = 65

    def __init__(self, message: str, *, cause: str = "invalid", feature: str | None = None) -> None:
        super().__init__(message)
        self.cause = cause
        self.feature = feature


class TooManyRows(InvalidInput):
    """There are more rows than are taken at once: send fewer."""


class BadSettings(ForetableError):
    """The caller's settings or arguments are at fault: fix the command."""

    exit_code = 64


class BadArtifact(ForetableError):
    """A stored file is corrupt, foreign or of an unknown version: fix the deployment."""

    exit_code = 65


class Refused(ForetableError):
    """A check said no, and nothing was changed: fix the model or the table, or override with a reason."""

    exit_code = 65


class NotFound(ForetableError):
    """What was named does not exist."""

    exit_code = 64


class Unavailable(ForetableError):
    """Storage or a service is down, full or busy: try again."""

    exit_code = 75


class DeadlineExceeded(Unavailable):
    """The instant after which an answer is of no use has passed: ask with more time, or take a default."""


class AlreadyExists(Unavailable):
    """A create-if-absent found its target taken: somebody else was first."""


class LostRace(Unavailable):
    """Another publisher moved the label first: run the gate again against the new production."""


class EngineBug(ForetableError):
    """An invariant of the engine was broken: report it."""
