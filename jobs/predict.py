"""Predict: answer one row from the shell, by the same predictor as every other path.

foretable predict flights --registry models carrier=UA origin=EWR dest=SFO month=1 weekday=1 hour=6
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np

from engine.errors import BadSettings
from engine.predictor import Predictor
from jobs.program import Parser, Result, add_common, positive, run


def parser() -> Parser:
    """Return the program's options."""
    options = Parser(prog="foretable predict", description=__doc__)
    options.add_argument("model", help="the model's name in the registry")
    options.add_argument("features", nargs="+", metavar="FEATURE=VALUE", help="every feature of the model's space")
    options.add_argument("--label", default="production", help="which label's release answers; default: production")
    options.add_argument("--release", type=positive, metavar="N", help="which release answers, instead of a label's")
    add_common(options)
    return options


def work(arguments: argparse.Namespace) -> Result:
    """Answer the row of the arguments."""
    row = dict(_pair(text) for text in arguments.features)
    if len(row) != len(arguments.features):
        message = f"each feature must be given once; got {' '.join(arguments.features)}"
        raise BadSettings(message)
    predictor = Predictor.open(arguments.registry, arguments.model, label=arguments.label, release=arguments.release)
    answer = predictor.predict_row(row)
    named = predictor.schema.named([float(str(np.float32(value))) for value in answer.values])
    shown = ", ".join(f"{name} = {value}" for name, value in named.items())
    return Result(
        f"{shown}  (from the {answer.source.text} of release {predictor.release.number})",
        outputs=named,
        source=answer.source.text,
        release=predictor.release.number,
        bundle=predictor.bundle.digest,
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        message = f"a feature must be given as NAME=VALUE; got {text!r}"
        raise BadSettings(message)
    return name, value


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return run(parser(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
