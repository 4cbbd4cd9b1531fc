"""Manifests: canonical JSON, digests, and readers that refuse what they do not know."""

from __future__ import annotations

import hashlib
import json
import time
from datetime import UTC, datetime
from typing import Any

from engine.errors import BadArtifact

_SEAL = "sha256"


def canonical_json(value: object) -> bytes:
    """Return UTF-8 JSON with sorted keys and no spaces: equal values give equal bytes. NaN is refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256(data: bytes) -> str:
    """Return the SHA-256 of bytes, as hex."""
    return hashlib.sha256(data).hexdigest()


def parse_manifest(data: bytes, *, kind: str, version: int, where: str) -> dict[str, Any]:
    """Read a manifest of one kind.

    Raises:
        BadArtifact: it is not JSON, not of this kind, or of a format version that this reader does not know.
    """
    try:
        fields = json.loads(data)
        canonical = canonical_json(fields)
    except (ValueError, RecursionError) as error:  # NaN and half a surrogate pair, which only the former reads, too
        message = f"{where}: must be JSON; got {data[:40]!r}. The file is damaged: restore or rebuild it"
        raise BadArtifact(message) from error
    found = fields.get("format") if isinstance(fields, dict) else None
    if not isinstance(found, dict) or found.get("kind") != kind:
        message = f"{where}: must be a {kind} manifest; got format {found!r}"
        raise BadArtifact(message)
    if found.get("version") != version:
        message = (
            f"{where}: must be of {kind} format version {version}; got {found.get('version')!r}. "
            "It was written by another foretable: upgrade this one, or build it again"
        )
        raise BadArtifact(message)
    if seal(fields) != canonical:
        message = f"{where}: must have the SHA-256 that it says of itself; it was changed. Restore it or build it again"
        raise BadArtifact(message)
    return {name: value for name, value in fields.items() if name != _SEAL}


def seal(fields: dict[str, Any]) -> bytes:
    """Return a manifest's bytes: its canonical JSON with the SHA-256 of what it is without that one field."""
    body = {name: value for name, value in fields.items() if name != _SEAL}
    return canonical_json({**body, _SEAL: sha256(canonical_json(body))})


def new_manifest(kind: str, version: int, **fields: object) -> dict[str, Any]:
    """Return a manifest's fields with its format in front."""
    return {"format": {"kind": kind, "version": version}, **fields}


def now_text() -> str:
    """Return the time now as ``time_text`` does."""
    return time_text(time.time())


def time_text(moment: float, *, timespec: str = "seconds") -> str:
    """Return seconds since the epoch as UTC in ISO 8601, to the second or another ``timespec`` of ``isoformat``."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec=timespec).replace("+00:00", "Z")
