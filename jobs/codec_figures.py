"""What each output codec makes of a bundle's float32 answers: bytes, and errors promised and found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.bundle import Bundle
from engine.codec import CODECS, codec_named
from engine.errors import BadSettings, InvalidInput
from jobs.variant_figures import Values


@dataclass(frozen=True, kw_only=True)
class CodecFigures:
    """What was measured of one codec.

    Attributes:
        codec: its name.
        row_bytes: of a table's row.
        table_bytes: of all rows of the space; None where it is not finite.
        error_limit: the largest error that it promises within the declared ranges, over all outputs.
        largest_error: the largest one found.
        fault: why it cannot store this model's answers; then the errors are None.
    """

    codec: str
    row_bytes: int
    table_bytes: int | None
    error_limit: float | None = None
    largest_error: float | None = None
    fault: str = ""


def measure_codecs(bundle: Bundle, answers: Values) -> list[CodecFigures]:
    """Store answers, float32 of shape (n, width), with every codec and read them back."""
    return [_measure(name, bundle, answers) for name in CODECS]


def _measure(name: str, bundle: Bundle, answers: Values) -> CodecFigures:
    row_bytes = bundle.schema.width * CODECS[name].dtype.itemsize
    table_bytes = row_bytes * bundle.space.size if bundle.space.numbering else None
    try:
        codec = codec_named(name, bundle.schema)
        stored = codec.decode(codec.encode(answers))
    except (BadSettings, InvalidInput) as error:
        return CodecFigures(codec=name, row_bytes=row_bytes, table_bytes=table_bytes, fault=str(error))
    return CodecFigures(
        codec=name,
        row_bytes=row_bytes,
        table_bytes=table_bytes,
        error_limit=float(codec.error_limits().max()),
        largest_error=float(np.abs(stored.astype(np.float64) - answers).max(initial=0.0)),
    )
