"""Quarantine: look at the rows that a scoring job could not score, and remove those kept long enough.

foretable quarantine show hdfs://host/scored/date=2026-01-31
foretable quarantine purge hdfs://host/scored
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow.parquet as pq

from engine.errors import NotFound
from engine.manifest import parse_manifest
from engine.storage import Storage, open_storage
from jobs.program import Parser, Result, add_common, positive, run
from jobs.scoring.chunk import Position
from jobs.scoring.columnar import decoding
from jobs.scoring.dataset import is_hidden, split_url
from jobs.scoring.output import KIND, MANIFEST, VERSION
from jobs.scoring.quarantine import FOLDER


@dataclass(frozen=True)
class Scores:
    """A finished output of a scoring job.

    Attributes:
        storage: where it is.
        path: its directory.
        manifest: its manifest's fields.
    """

    storage: Storage
    path: str
    manifest: dict[str, Any]

    @property
    def url(self) -> str:
        """Where it is, as people write it."""
        return f"{self.storage.url}/{self.path}"

    @property
    def expired(self) -> bool:
        """Whether its quarantine was kept as long as the job was told to."""
        expires = self.manifest["quarantine_expires"]
        return expires is not None and datetime.fromisoformat(expires) <= datetime.now(UTC)

    def quarantined(self) -> Iterator[dict[str, Any]]:
        """Read the rows of its quarantine."""
        for name in sorted(self.manifest["files"]):
            path = f"{self.path}/{name}"
            if name.startswith(f"{FOLDER}/") and self.storage.exists(path):
                with decoding(self.storage, path), self.storage.open_input(path) as file:
                    for batch in pq.ParquetFile(file).iter_batches():
                        yield from batch.to_pylist()

    def has_quarantine(self) -> bool:
        """Whether there is a quarantine that was not purged yet."""
        return self.storage.exists(f"{self.path}/{FOLDER}") and bool(self.storage.names(f"{self.path}/{FOLDER}"))


def find_scores(url: str) -> list[Scores]:
    """Return the finished outputs at or below a URL, sorted by path.

    Raises:
        NotFound: there is none.
        BadArtifact: a manifest is damaged.
    """
    parent, name = split_url(url)
    storage = open_storage(parent)
    found = []
    for file in storage.walk(name):
        path, _, last = file.path.rpartition("/")
        if last == MANIFEST and not is_hidden(path.rpartition("/")[2]):  # not of a run that has yet to be shown
            manifest = parse_manifest(storage.read(file.path), kind=KIND, version=VERSION, where=file.path)
            found.append(Scores(storage, path, manifest))
    if not found:
        message = f"{url} must hold the output of a scoring job; got none that is finished"
        raise NotFound(message)
    return found


def show(url: str, examples: int) -> Result:
    """Return the causes of all quarantined rows at or below a URL, with the first examples of each.

    An example names its output, below the URL, then its place in the input.
    """
    examples_of: dict[tuple[str, str], list[str]] = {}
    counts: dict[tuple[str, str], int] = {}
    read = 0
    for scores in find_scores(url):
        read += scores.manifest["rows"]["read"]
        below = scores.path.removeprefix(split_url(url)[1]).strip("/")
        for row in scores.quarantined():
            cause = (row["cause"], row["feature"] or "")
            counts[cause] = counts.get(cause, 0) + 1
            if counts[cause] <= examples:
                example = f"{below}: {_place(row)}" if below else _place(row)
                examples_of.setdefault(cause, []).append(f"{example}: {row['message']}")
    ordered = sorted(counts, key=lambda cause: (-counts[cause], cause))
    lines = [f"{sum(counts.values()):,} of {read:,} rows could not be scored"]
    for cause in ordered:
        lines.append(f"\n{counts[cause]:>12,}  {' '.join(part for part in cause if part)}")
        lines += [f"              {example}" for example in examples_of[cause]]
    found = [{"cause": cause, "feature": feature or None, "rows": counts[cause, feature]} for cause, feature in ordered]
    return Result("\n".join(lines), rows=read, quarantined=sum(counts.values()), causes=found)


def purge(url: str) -> Result:
    """Remove the quarantines at or below a URL that have expired."""
    removed = []
    for scores in find_scores(url):
        if scores.expired and scores.has_quarantine():
            scores.storage.remove_tree(f"{scores.path}/{FOLDER}")
            removed.append(scores.url)
    text = "\n".join(f"{removed_url}/{FOLDER}: removed" for removed_url in removed) or "no quarantine has expired"
    return Result(text, removed=removed)


def _place(row: dict[str, Any]) -> str:
    return f"{row['file']} {Position(row['row'], row['byte_offset'])}"


def parser() -> Parser:
    """Return the program's options."""
    options = Parser(prog="foretable quarantine", description=__doc__)
    options.add_argument("action", choices=("show", "purge"), help="count the causes, or remove what has expired")
    options.add_argument("url", help="an output of foretable score, or a directory with several")
    options.add_argument("--examples", type=positive, default=3, metavar="N", help="of each cause; default: 3")
    add_common(options, registry=False)
    return options


def work(arguments: argparse.Namespace) -> Result:
    """Do as the arguments say."""
    return show(arguments.url, arguments.examples) if arguments.action == "show" else purge(arguments.url)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return run(parser(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
