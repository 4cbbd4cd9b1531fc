"""A digest of this project's own code, by which a driver and its executors know that they run the same."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from engine.errors import BadSettings

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("engine", "jobs")  # what a task runs


@functools.cache
def code_digest() -> str:
    """Return a SHA-256 over the names and the bytes of all modules that a task may run, as hex."""
    digest = hashlib.sha256()
    for package in _PACKAGES:
        for path in sorted((_ROOT / package).rglob("*.py")):
            digest.update(f"{path.relative_to(_ROOT).as_posix()}\n".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def check_code(wanted: str) -> None:
    """See that this process runs the code of its driver: other code may write other bytes under the same name.

    Raises:
        BadSettings: it does not.
    """
    if code_digest() != wanted:
        message = (
            f"executors must run the driver's code, {wanted[:16]}; got {code_digest()[:16]} from {_ROOT}. "
            "Pack their archive anew (foretable pack), or install the same version on every host"
        )
        raise BadSettings(message)
