"""A release, loaded to be asked at once."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from engine.answer import Source
from engine.errors import BadArtifact
from engine.label import LabelRecord
from engine.predictor import Predictor
from engine.registry import ModelRegistry

_log = logging.getLogger(__name__)


def load_warm(
    models: ModelRegistry, record: LabelRecord, *, threads: int, scratch: str | None, shared: str | None = None
) -> Predictor:
    """Load the release that a label's record points to, and warm it up; the arguments are as of ``Predictor.load``.

    Raises:
        NotFound: the release is not there.
        BadArtifact: a file of it is damaged, or it has no golden row, or none that is answered.
    """
    release = models.release(record.release)
    predictor = Predictor.load(models, release, threads=threads, scratch=scratch, shared=shared)
    warm_up(predictor)
    if not predictor.same_numeric_class:
        _log.warning(
            "model %s release %d: this CPU is of numeric class %s, the bundle of %s: the model's answers are within "
            "1e-6 of those elsewhere, not equal to the bit",
            models.name,
            release.number,
            predictor.numeric_class,
            predictor.bundle.numeric_class,
        )
    return predictor


def warm_up(predictor: Predictor) -> Source:
    """Score a golden row by the model and on the path of requests; return the latter's source.

    Raises:
        BadArtifact: the bundle has no golden row.
    """
    rows = golden_rows(predictor)
    predictor.infer(predictor.space.encode_row(rows[0]))
    predictor.predict_rows(rows[:2])  # Arrow loads parts of itself when it is first used: 40 ms
    return predictor.predict_row(rows[0]).source


def golden_rows(predictor: Predictor) -> Sequence[Mapping[str, object]]:
    """Return the raw rows that the bundle was exported with.

    Raises:
        BadArtifact: there is none.
    """
    rows, _ = predictor.bundle.golden_rows()
    if not rows:
        message = f"{predictor.bundle.path}/golden.json must have at least one row; got none. Export the bundle again"
        raise BadArtifact(message)
    return rows
