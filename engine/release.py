"""A release: one immutable (bundle, variant, codec, table or none) that passed the gate.

Table and model can never move apart: a label points to a release, and a release names both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from engine.errors import AlreadyExists, BadArtifact
from engine.manifest import new_manifest, parse_manifest, seal
from engine.storage import Storage

KIND, VERSION = "release", 1


@dataclass(frozen=True, kw_only=True)
class Release:
    """What is served as one.

    Attributes:
        model: the model's name.
        bundle: the bundle's id.
        bundle_digest: the SHA-256 of its manifest.
        variant: which of the bundle's LiteRT models.
        codec: the codec's JSON form.
        table: the table's key, or None.
        gate: the gate's findings: a list of ``{"check", "passed", "figure", "limit"}``.
        time: UTC, ISO 8601.
        number: from 1 up; 0 before it is written.
    """

    model: str
    bundle: str
    bundle_digest: str
    variant: str
    codec: dict[str, Any]
    table: str | None
    gate: list[dict[str, Any]]
    time: str
    number: int = 0


def create_release(storage: Storage, folder: str, release: Release, *, known: int) -> Release:
    """Write a release under the first free number after ``known``."""
    number = known + 1
    while True:
        numbered = replace(release, number=number)
        try:
            storage.create(_path(folder, number), seal(new_manifest(KIND, VERSION, **numbered.__dict__)))
        except AlreadyExists:
            number += 1
            continue
        return numbered


def read_release(storage: Storage, folder: str, number: int) -> Release:
    """Read a release.

    Raises:
        NotFound: there is none of that number.
        BadArtifact: it is damaged, or of a version that is not known here.
    """
    path = _path(folder, number)
    fields = parse_manifest(storage.read(path), kind=KIND, version=VERSION, where=path)
    fields.pop("format")
    try:
        return Release(**fields)
    except TypeError as error:
        message = f"{path}: must have the fields of a release: {error}"
        raise BadArtifact(message) from error


def _path(folder: str, number: int) -> str:
    return f"{folder}/{number:08d}.json"
