"""The numeric class: which CPUs answer with the same bits.

A model's float32 answers are equal to the bit on CPUs with the same instructions and LiteRT version, and may differ by
rounding elsewhere (fused multiply-add). The class is the LiteRT version and a digest of the golden answers as this CPU
computes them. Within a class: equal to the bit. Across classes: within ``TOLERANCE * max(1, |answer|)``.
"""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import numpy.typing as npt

from engine.errors import BadArtifact, BadSettings
from engine.manifest import sha256

TOLERANCE = 1e-6


def numeric_class(golden_answers: npt.NDArray[np.float32]) -> str:
    """Return the class of a CPU that computed these golden answers, float32 of shape (rows, width)."""
    digest = sha256(np.ascontiguousarray(golden_answers, "<f4").tobytes())
    return f"litert-{version('ai-edge-litert')}-{digest[:16]}"


def check_worker(here: str, wanted: str, *, of: str) -> None:
    """See that a worker's CPU answers with the bits that its job promises.

    Args:
        here: the worker's class.
        wanted: the job's.
        of: what the job is, in words.

    Raises:
        BadSettings: the two differ.
    """
    if here != wanted:
        message = (
            f"every worker of {of} must be of numeric class {wanted}; got {here}. "
            "Run it on hosts with one kind of CPU and one LiteRT version"
        )
        raise BadSettings(message)


def check_answers(
    found: npt.NDArray[np.float32], wanted: npt.NDArray[np.float32], *, where: str, same_class: bool
) -> None:
    """Hold answers against others, before the codec; float32 of equal shapes.

    Raises:
        BadArtifact: they differ by more than their classes may.
    """
    if found.tobytes() == wanted.tobytes():
        return
    allowed = 0.0 if same_class else TOLERANCE
    off = np.abs(found.astype(np.float64) - wanted) / np.maximum(1.0, np.abs(wanted))
    if not np.isfinite(off).all() or off.max() > allowed or same_class:
        row = int(np.argmax(off.max(axis=1)))
        message = (
            f"{where}: golden row {row} must answer {wanted[row].tolist()}; got {found[row].tolist()}. "
            "The model file or this LiteRT is not the one that was exported: export the bundle again"
        )
        raise BadArtifact(message)
