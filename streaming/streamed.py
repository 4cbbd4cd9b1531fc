"""A release as the stream holds it: with what renders its answers."""

from __future__ import annotations

from dataclasses import dataclass

from engine.holder import Holder, Load, Loaded, load_labelled
from engine.label import LabelRecord
from engine.loading import load_warm
from engine.registry import ModelRegistry, Registry
from streaming.config import StreamConfig
from streaming.rendering import Rendering


@dataclass(frozen=True, kw_only=True)
class Streamed(Loaded):
    """A release that answers a stream.

    Attributes:
        rendering: of its answers.
    """

    rendering: Rendering


def loader(config: StreamConfig) -> Load[Streamed]:
    """Return what loads the release that a label's record points to."""

    def load(models: ModelRegistry, label: str, record: LabelRecord) -> Streamed:
        predictor = load_warm(models, record, threads=config.threads, scratch=config.scratch)
        rendering = Rendering(models.name, predictor)
        return Streamed(model=models.name, label=label, record=record, predictor=predictor, rendering=rendering)

    return load


def load_holder(config: StreamConfig) -> Holder[Streamed]:
    """Load what the label points to.

    Raises:
        ForetableError: there is no such release, or it cannot be loaded.
    """
    models = Registry(config.registry).existing_model(config.model)
    return Holder(load_labelled(models, (config.label,), loader(config)), (config.label,))
