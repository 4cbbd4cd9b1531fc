"""Verify: read every byte of a model's releases, and hold every digest and every block's checksum against it.

Exits with 65 where anything is damaged, and says what.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from engine.errors import BadArtifact, ForetableError, NotFound
from engine.predictor import Predictor
from engine.registry import ModelRegistry, Registry
from engine.table import read_table_manifest
from jobs.digested import digest_file
from jobs.program import Parser, Result, add_common, positive, run
from jobs.progress import progress_bar


def parser() -> Parser:
    """Return the program's options."""
    options = Parser(prog="foretable verify", description=__doc__)
    options.add_argument("model", help="the model's name in the registry")
    options.add_argument("--release", type=positive, metavar="N", help="only this release; default: all of them")
    add_common(options)
    return options


def work(arguments: argparse.Namespace) -> Result:
    """Verify as the arguments say.

    Raises:
        BadArtifact: something is damaged; the message lists all that is.
        NotFound: there is nothing to verify.
    """
    models = Registry(arguments.registry).model(arguments.model)
    numbers = [arguments.release] if arguments.release else models.releases()
    if not numbers:
        message = f"model {models.name!r} in {models.storage.url} has no release yet: publish first (foretable publish)"
        raise NotFound(message)
    damage = [finding for number in numbers for finding in _damage(models, number, quiet=arguments.json)]
    if damage:
        message = f"{len(damage)} damaged: " + "; ".join(damage)
        raise BadArtifact(message)
    return Result(f"{models.name}: {len(numbers)} releases are whole", releases=numbers)


def _damage(models: ModelRegistry, number: int, *, quiet: bool) -> Iterator[str]:
    """Yield what is damaged of one release."""
    try:
        release = models.release(number)
        bundle = models.bundle(release.bundle)
        for name in bundle.manifest["files"]:
            bundle.file(name)
        if release.table:
            yield from _table_damage(models, release.table, number, quiet=quiet)
        corrupt = _corrupt_blocks(Predictor.load(models, release), number, quiet=quiet)
        if corrupt:
            yield f"release {number}: {corrupt} corrupt blocks"
    except ForetableError as error:
        yield f"release {number}: {error}"


def _table_damage(models: ModelRegistry, key: str, number: int, *, quiet: bool) -> Iterator[str]:
    folder = models.table_path(key)
    files = read_table_manifest(models.storage, folder)["files"]
    with progress_bar(len(files), "shards", f"release {number}: digests", quiet=quiet) as bar:
        for name, entry in files.items():
            _, found = digest_file(models.storage, f"{folder}/{name}")
            bar.update(1)
            if found != entry["sha256"]:
                yield f"{folder}/{name}: must have SHA-256 {entry['sha256'][:16]}…; got {found[:16]}…"


def _corrupt_blocks(predictor: Predictor, number: int, *, quiet: bool) -> int:
    table = predictor.table
    if table is None:
        return 0
    with progress_bar(table.blocks, "blocks", f"release {number}: blocks", quiet=quiet) as bar:
        return table.check_all(bar.update)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return run(parser(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
