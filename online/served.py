"""A release as the server holds it: with what renders its answers, and how long the model takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from engine.holder import Holder, Loaded
from engine.label import LabelRecord
from engine.loading import golden_rows, load_warm
from engine.predictor import Predictor
from engine.registry import ModelRegistry
from engine.runtime import FEW_ROWS
from online.config import ServeConfig
from online.open_inference.response import InferRenderer
from online.responses import Renderer

# What a model may take that is asked on the event loop's thread: lookups wait so long. Handing a request to a thread
# and back takes some 0.1 ms.
_QUICK_ROW_S, _QUICK_ROWS_S, _TRIES = 0.1e-3, 0.5e-3, 3


@dataclass(frozen=True, kw_only=True)
class Served(Loaded):
    """A release that answers over HTTP.

    Attributes:
        renderer: of its answers.
        infer_renderer: of its answers, as the Open Inference Protocol has them.
        quick: whether the model answers a few rows in less time than it takes to hand them to a thread and back.
    """

    renderer: Renderer
    infer_renderer: InferRenderer
    quick: bool


ServedHolder = Holder[Served]


def load(
    models: ModelRegistry, label: str, record: LabelRecord, *, config: ServeConfig, team_folder: str | None = None
) -> Served:
    """Load the release that a label's record points to.

    Args:
        models: the model's part of the registry.
        label: the label.
        record: of the label.
        config: the settings.
        team_folder: where the workers of this server have one copy of each table; None where it has one worker.

    Raises:
        NotFound: the release is not there.
        BadArtifact: as ``load_warm``.
    """
    predictor = load_warm(models, record, threads=config.threads, scratch=config.scratch, shared=team_folder)
    return Served(
        model=models.name,
        label=label,
        record=record,
        predictor=predictor,
        renderer=Renderer(models.name, predictor, max_age_s=config.max_age_s),
        infer_renderer=InferRenderer(models.name, predictor.release.number, predictor.schema),
        quick=is_quick(predictor),
    )


def is_quick(predictor: Predictor) -> bool:
    """Measure whether the model answers a row, and a few rows, in next to no time."""
    row = golden_rows(predictor)[0]
    few = predictor.space.encode_rows([row] * FEW_ROWS).inputs
    return all(
        min(_seconds(partial(predictor.infer, inputs)) for _ in range(_TRIES)) <= limit_s
        for inputs, limit_s in ((predictor.space.encode_row(row), _QUICK_ROW_S), (few, _QUICK_ROWS_S))
    )


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
