"""Rollback: point a label back to an earlier release, with one more record. Nothing is removed.

The release to go back to is loaded first, so that a label is never moved to what cannot be served.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from engine.errors import NotFound
from engine.label import LabelRecord
from engine.predictor import Predictor
from engine.registry import ModelRegistry, Registry
from jobs.program import Parser, Result, add_common, positive, run


def rollback(models: ModelRegistry, *, label: str, to: int | None, reason: str) -> tuple[LabelRecord, LabelRecord]:
    """Point a label back, with one more record; return the record before and the new one.

    Args:
        models: the model's part of the registry.
        label: which label.
        to: a release's number; None is the one that the label pointed to before its present one.
        reason: why.

    Raises:
        NotFound: the label has no record, or there is nothing to go back to.
        BadArtifact: the release to go back to cannot be loaded.
    """
    history = models.label(label).history()
    if not history:
        message = f"label {label!r} of {models.name!r} has no record yet: publish first"
        raise NotFound(message)
    head = history[-1]
    if to is None:
        earlier = [record.release for record in history if record.release != head.release]
        if not earlier:
            message = f"label {label!r} of {models.name!r} has only ever pointed to release {head.release}"
            raise NotFound(message)
        to = earlier[-1]
    Predictor.load(models, models.release(to))  # never roll back to what cannot be served
    return head, models.label(label).move(to, after=head, reason=reason or f"rolled back from {head.release}")


def parser() -> Parser:
    """Return the program's options."""
    options = Parser(prog="foretable rollback", description=__doc__)
    options.add_argument("model", help="the model's name in the registry")
    options.add_argument(
        "--to", type=positive, metavar="N", help="which release; default: the one before the present one"
    )
    options.add_argument("--label", default="production", help="the label to move; default: production")
    options.add_argument("--reason", default="", help="why, for the label's history")
    add_common(options)
    return options


def work(arguments: argparse.Namespace) -> Result:
    """Roll back as the arguments say."""
    models = Registry(arguments.registry).model(arguments.model)
    before, record = rollback(models, label=arguments.label, to=arguments.to, reason=arguments.reason)
    text = f"{arguments.label} of {models.name} points to release {record.release} (was {before.release})"
    return Result(text, label=arguments.label, release=record.release, was=before.release, record=record.number)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return run(parser(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
