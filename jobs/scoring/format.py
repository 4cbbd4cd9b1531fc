"""Input formats: how a file is cut, and how a section of it is read.

A new format is one class with these methods in its own file, and an entry in ``_FORMATS``.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

import pyarrow as pa

from engine.errors import BadSettings
from engine.storage import Storage
from jobs.scoring.chunk import Chunk

_FORMATS = {
    "parquet": ("jobs.scoring.parquet", "ParquetFormat", (".parquet", ".pq")),
    "orc": ("jobs.scoring.orc", "OrcFormat", (".orc",)),
    "csv": ("jobs.scoring.csv_lines", "CsvFormat", (".csv",)),
    "jsonl": ("jobs.scoring.json_lines", "JsonLinesFormat", (".jsonl", ".ndjson", ".json")),
}
FORMATS = tuple(_FORMATS)


@dataclass(frozen=True, kw_only=True)
class FormatOptions:
    """What text files do not say of themselves.

    Attributes:
        delimiter: between the fields of a CSV file.
        multiline: fields of a CSV file may hold line breaks between double quotes.
    """

    delimiter: str = ","
    multiline: bool = False


@dataclass(frozen=True, kw_only=True)
class Piece:
    """The least that a file can be cut to.

    Attributes:
        start: row group, stripe or byte, as the format counts.
        stop: one past the last.
        size_bytes: as read.
        rows: in it; None where only reading tells.
    """

    start: int
    stop: int
    size_bytes: int
    rows: int | None = None


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a file says of itself before its rows are read.

    Attributes:
        schema: its columns; None where each row has its own.
        pieces: in order.
    """

    schema: pa.Schema | None
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What of a file is read.

    Attributes:
        columns: names, those that a file lacks included.
        texts: of them, which are vocabularies: read as dictionaries where the format has them.
        partition: columns of the file's path; they count where the file has them too.
    """

    columns: tuple[str, ...]
    texts: tuple[str, ...]
    partition: Mapping[str, str | None]


class Format(Protocol):
    """Reads files of one kind."""

    name: str

    def shape(self, storage: Storage, path: str, piece_bytes: int) -> Shape:
        """Describe a file, reading little of it. Pieces are of about ``piece_bytes`` where the format has no own.

        Raises:
            BadArtifact: the file is damaged.
        """
        ...

    def read(self, storage: Storage, path: str, start: int, stop: int, wanted: Wanted) -> Iterator[Chunk]:
        """Read the rows of consecutive pieces, in order.

        Raises:
            BadArtifact: the file is damaged.
        """
        ...


def open_format(name: str, options: FormatOptions) -> Format:
    """Return a format by its name."""
    module, kind, _ = _FORMATS[name]
    made: Format = getattr(importlib.import_module(module), kind)(options)
    return made


def guess_format(paths: Iterable[str]) -> str:
    """Return the one format that all names of files tell.

    Raises:
        BadSettings: they tell none, or several.
    """
    by_suffix = {suffix: name for name, (_, _, suffixes) in _FORMATS.items() for suffix in suffixes}
    found = {by_suffix.get(PurePosixPath(path).suffix.lower()): path for path in paths}
    if None in found:
        message = (
            f"input file {found[None]}: must end with one of {', '.join(by_suffix)}. Say --format, or move it away"
        )
        raise BadSettings(message)
    if len(found) > 1:
        message = f"all input files must be of one format; got {', '.join(found.values())}"
        raise BadSettings(message)
    (name,) = found
    assert name is not None
    return name
