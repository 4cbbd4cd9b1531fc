"""Releases: what was published, where each label points, and how it got there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from engine.registry import ModelRegistry, Registry
from engine.release import Release
from jobs.program import Parser, Result, add_common, run


def parser() -> Parser:
    """Return the program's options."""
    options = Parser(prog="foretable releases", description=__doc__)
    options.add_argument("model", nargs="?", help="the model's name; default: every model of the registry")
    options.add_argument("--history", action="store_true", help="show every move of every label, with its reason")
    add_common(options)
    return options


def work(arguments: argparse.Namespace) -> Result:
    """List as the arguments say."""
    registry = Registry(arguments.registry)
    if arguments.model:
        models = [registry.existing_model(arguments.model)]
    else:
        models = [registry.model(name) for name in registry.models()]
    fields = {model.name: _fields(model) for model in models}
    lines = [line for model in models for line in _lines(model, history=arguments.history)]
    return Result("\n".join(lines) or f"no model in {registry.url} yet: train one (foretable train)", models=fields)


def _fields(models: ModelRegistry) -> dict[str, object]:
    return {
        "releases": [models.release(number).__dict__ for number in models.releases()],
        "labels": {name: [record.__dict__ for record in models.label(name).history()] for name in models.labels()},
    }


def _lines(models: ModelRegistry, *, history: bool) -> list[str]:
    heads: dict[int, list[str]] = {}
    moves: list[str] = []
    for name in models.labels():
        records = models.label(name).history()
        if records:
            heads.setdefault(records[-1].release, []).append(name)
        moves += [
            f"  {record.time}  {name} {record.number} -> release {record.release}: {record.reason}"
            for record in records
        ]
    lines = [f"{models.name}: {len(models.releases())} releases"]
    for number in models.releases():
        release = models.release(number)
        pointing = f"  <- {', '.join(heads[number])}" if number in heads else ""
        lines.append(f"  {number:>4}  {release.time}  {_describe(release)}{pointing}")
    return lines + (["  moves of labels:", *moves] if history and moves else [])


def _describe(release: Release) -> str:
    table = f"table {release.table[:12]}" if release.table else "no table"
    return f"bundle {release.bundle}  {release.variant}, {release.codec['name']}  {table}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return run(parser(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
