"""Errors: the class is the caller's next move, and carries the exit code."""

from __future__ import annotations

import pytest

from engine import errors
from engine.errors import ForetableError, InvalidInput

EXIT_CODES = {
    "ForetableError": 70,
    "InvalidInput": 65,
    "BadSettings": 64,
    "BadArtifact": 65,
    "Refused": 65,
    "TooManyRows": 65,
    "NotFound": 64,
    "Unavailable": 75,
    "DeadlineExceeded": 75,
    "AlreadyExists": 75,
    "LostRace": 75,
    "EngineBug": 70,
}


def test_every_class_has_its_exit_code() -> None:
    classes: dict[str, type[ForetableError]] = {
        name: kind for name, kind in vars(errors).items() if isinstance(kind, type)
    }
    assert {name: kind.exit_code for name, kind in classes.items()} == EXIT_CODES
    assert all(issubclass(kind, ForetableError) for kind in classes.values())


@pytest.mark.parametrize("name", ["AlreadyExists", "DeadlineExceeded", "LostRace"])
def test_what_can_be_tried_again_is_unavailable(name: str) -> None:
    assert issubclass(getattr(errors, name), errors.Unavailable)


def test_invalid_input_says_which_feature_and_why() -> None:
    error = InvalidInput("feature 'x' must be given", cause="missing_feature", feature="x")
    assert (str(error), error.cause, error.feature) == ("feature 'x' must be given", "missing_feature", "x")
    assert (InvalidInput("m").cause, InvalidInput("m").feature) == ("invalid", None)
