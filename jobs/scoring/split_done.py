"""A finished split: its files, and what its own metadata says of its rows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import pyarrow.parquet as pq

from engine.errors import BadArtifact, NotFound
from engine.storage import Storage
from jobs.digested import Digest, digest_file
from jobs.scoring.columnar import decoding
from jobs.scoring.sealed_file import digest_sealed

_METADATA = "foretable"


@dataclass(frozen=True, kw_only=True)
class FileDone:
    """A file of the output.

    Attributes:
        path: below the output.
        size_bytes: of the file.
        sha256: of the file.
        rows: in it.
    """

    path: str
    size_bytes: int
    sha256: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class SplitDone:
    """A split whose file is there.

    Attributes:
        file: with its scored rows.
        counts: of its rows.
        computed: by this run; another run's file was found otherwise.
    """

    file: FileDone
    counts: Counts
    computed: bool


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What a split's file says of itself in its Parquet metadata.

    Attributes:
        rows: that were scored.
        quarantine: the file with the others, or None.
        sources: rows by where their answer came from.
        causes: quarantined rows by cause.
        examples: of each cause, one row's place and what is wrong with it.
    """

    rows: int
    quarantine: FileDone | None
    sources: dict[str, int]
    causes: dict[str, int]
    examples: dict[str, str]

    def to_metadata(self) -> dict[str, str]:
        """Return the metadata's entry."""
        return {_METADATA: json.dumps(asdict(self), sort_keys=True)}

    def done(self, path: str, digest: Digest, *, computed: bool) -> SplitDone:
        """Return what these counts and a digest make of the split at ``path``."""
        file = FileDone(path=path, rows=self.rows, size_bytes=digest.size_bytes, sha256=digest.sha256)
        return SplitDone(file=file, counts=self, computed=computed)


def read_done(storage: Storage, path: str) -> SplitDone:
    """Read a finished split's counts from its file, and see that all it wrote is as it was written.

    Raises:
        BadArtifact: it is damaged, or no split, or its quarantine is damaged or gone.
        NotFound: it is gone.
    """
    with decoding(storage, path), storage.open_input(path) as source:
        metadata = pq.read_metadata(source).metadata or {}
    try:
        fields = json.loads(metadata[_METADATA.encode()])
        quarantine = fields.pop("quarantine")
        counts = Counts(quarantine=FileDone(**quarantine) if quarantine else None, **fields)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = f"{storage.url}/{path}: must be a split of a scoring job; got another file. Remove it and run again"
        raise BadArtifact(message) from error
    digest = digest_sealed(storage, path, metadata)
    if counts.quarantine is not None:
        _check_quarantine(storage, path, counts.quarantine)
    return counts.done(path, digest, computed=False)


def _check_quarantine(storage: Storage, path: str, quarantine: FileDone) -> None:
    try:
        found: Digest | None = digest_file(storage, quarantine.path)
    except NotFound:
        found = None
    if found != (quarantine.size_bytes, quarantine.sha256):
        what = "its SHA-256 says that it was changed since" if found else "it is gone"
        message = (
            f"{storage.url}/{quarantine.path}: must be as it was written; {what}. Remove it and {path}, and run again"
        )
        raise BadArtifact(message)
