"""Splits: the units of a scoring job, cut from its input by size alone, so that every run cuts them alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

from engine.manifest import canonical_json, sha256
from jobs.scoring.dataset import InputFile
from jobs.scoring.format import Piece, Shape

_NO_ROWS = Shape(schema=None, pieces=(Piece(start=0, stop=0, size_bytes=0, rows=0),))


@dataclass(frozen=True, kw_only=True)
class SplitSize:
    """How much a split holds at most, unless one piece of a file holds more.

    Attributes:
        size_bytes: of its pieces. Smaller, and starting tasks and opening files is a cost; larger, and a lost worker
            loses more, and the last tasks of a job leave other cores idle.
        rows: of its pieces, where they are known: what is small on disk may be long to score.
    """

    size_bytes: int = 256 << 20
    rows: int = 2_000_000


@dataclass(frozen=True, kw_only=True)
class Section:
    """Consecutive pieces of one file, as it was when the job was planned.

    Attributes:
        file: which.
        start: of the first piece.
        stop: of the last piece.
        size_bytes: of the pieces.
        rows: in them; None where only reading tells.
    """

    file: InputFile
    start: int
    stop: int
    size_bytes: int
    rows: int | None


@dataclass(frozen=True, kw_only=True)
class Split:
    """What one task scores into one file.

    Attributes:
        partition: directories of the input that all its sections are in, and of the output that its file goes to.
        sections: in order.
        key: 32 hex digits: a digest of all that decides the bytes of its file.
    """

    partition: str
    sections: tuple[Section, ...]
    key: str

    @property
    def rows(self) -> int | None:
        """Rows in it; None where only reading tells."""
        rows = [section.rows for section in self.sections]
        return None if None in rows else sum(row for row in rows if row is not None)

    @property
    def size_bytes(self) -> int:
        """Bytes in it."""
        return sum(section.size_bytes for section in self.sections)

    @property
    def path(self) -> str:
        """Path of its file below the output."""
        name = f"part-{self.key}.parquet"
        return f"{self.partition}/{name}" if self.partition else name


def plan_splits(shapes: Iterable[tuple[InputFile, Shape]], size: SplitSize, fingerprint: object) -> list[Split]:
    """Cut an input into splits that never span two partitions; one without rows gives one split, for its columns.

    Args:
        shapes: the files with their shapes, sorted by path.
        size: of a split, at most.
        fingerprint: all that decides the bytes of an output but the input, as canonical JSON takes it.
    """
    ordered = sorted(shapes, key=lambda pair: (pair[0].partition, pair[0].path))
    if not any(shape.pieces for _, shape in ordered):
        ordered = [(file, _NO_ROWS) for file, _ in ordered[:1]]
    splits = []
    for partition, files in groupby(ordered, key=lambda pair: pair[0].partition):
        for sections in _packed(_pieces(files), size):
            merged = tuple(_merged(sections))
            key = sha256(canonical_json([fingerprint, partition, [asdict(section) for section in merged]]))[:32]
            splits.append(Split(partition=partition, sections=merged, key=key))
    return splits


def _pieces(files: Iterable[tuple[InputFile, Shape]]) -> Iterator[Section]:
    for file, shape in files:
        for piece in shape.pieces:
            yield Section(file=file, start=piece.start, stop=piece.stop, size_bytes=piece.size_bytes, rows=piece.rows)


def _packed(pieces: Iterable[Section], size: SplitSize) -> Iterator[list[Section]]:
    packed: list[Section] = []
    size_bytes = rows = 0
    for piece in pieces:
        if packed and (size_bytes + piece.size_bytes > size.size_bytes or rows + (piece.rows or 0) > size.rows):
            yield packed
            packed, size_bytes, rows = [], 0, 0
        packed.append(piece)
        size_bytes += piece.size_bytes
        rows += piece.rows or 0
    if packed:
        yield packed


def _merged(pieces: Sequence[Section]) -> Iterator[Section]:
    """Join neighbours of one file."""
    for file, group in groupby(pieces, key=lambda piece: piece.file):
        run = list(group)
        known = [piece.rows for piece in run if piece.rows is not None]
        yield Section(
            file=file,
            start=run[0].start,
            stop=run[-1].stop,
            size_bytes=sum(piece.size_bytes for piece in run),
            rows=sum(known) if len(known) == len(run) else None,
        )
