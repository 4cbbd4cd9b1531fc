"""What is served right now: one loaded release a model, swapped by one reference assignment."""

from __future__ import annotations

import time
from dataclasses import dataclass

from engine.answer import Source
from engine.errors import BadArtifact, NotFound
from engine.label import LabelRecord
from engine.predictor import Predictor
from engine.registry import ModelRegistry
from online.config import ServeConfig
from online.responses import Renderer


@dataclass(frozen=True, kw_only=True)
class Served:
    """A release that answers. A request takes one and keeps it to its end: no answer mixes two.

    Attributes:
        model: the model's name.
        record: the label's record that led here.
        predictor: the loaded release.
        renderer: of its answers.
    """

    model: str
    record: LabelRecord
    predictor: Predictor
    renderer: Renderer

    @property
    def release(self) -> int:
        """The number of the release."""
        return self.predictor.release.number


class Holder:
    """The releases being served, by model, and how following their labels goes.

    Thread-safe: readers take one reference; only the follower writes, one item at a time.

    Attributes:
        current: model -> what is served.
        swaps: model -> release changes since the start.
        failures: model -> loads and label reads that failed since the start.
        problems: model -> why the label cannot be followed right now; absent where it can.
        checked: model -> ``time.monotonic`` of the last look at the label that succeeded.
    """

    def __init__(self, served: list[Served]) -> None:
        """Begin with what was loaded at start."""
        self.current = {item.model: item for item in served}
        self.swaps = dict.fromkeys(self.current, 0)
        self.failures = dict.fromkeys(self.current, 0)
        self.problems: dict[str, str] = {}
        self.checked = dict.fromkeys(self.current, time.monotonic())

    def get(self, model: str) -> Served:
        """Return what is served of a model.

        Raises:
            NotFound: it is not served here.
        """
        served = self.current.get(model)
        if served is None:
            message = f"model must be one of {', '.join(self.current)}; got {model[:80]!r}"
            raise NotFound(message)
        return served

    def swap(self, served: Served) -> None:
        """Serve another release from the next request on; the old one goes with its last request."""
        if served.release != self.current[served.model].release:
            self.swaps[served.model] += 1
        self.current[served.model] = served


def load(models: ModelRegistry, config: ServeConfig, record: LabelRecord) -> Served:
    """Load the release that a label's record points to, and warm it up with a golden row.

    Raises:
        NotFound: the release is not there.
        BadArtifact: a file of it is damaged, or the golden row has no answer.
    """
    release = models.release(record.release)
    predictor = Predictor.load(models, release, threads=config.threads, scratch=config.scratch)
    renderer = Renderer(models.name, predictor, max_age_s=config.max_age_s)
    served = Served(model=models.name, record=record, predictor=predictor, renderer=renderer)
    warm_up(served)
    return served


def warm_up(served: Served) -> Source:
    """Score a golden row by the model and on the path of requests; return the latter's source.

    Raises:
        BadArtifact: the bundle has no golden row.
    """
    predictor = served.predictor
    rows, _ = predictor.bundle.golden_rows()
    if not rows:
        message = f"{predictor.bundle.path}/golden.json must have at least one row; got none. Export the bundle again"
        raise BadArtifact(message)
    predictor.infer(predictor.space.encode_row(rows[0]))
    answer = predictor.predict_row(rows[0])
    served.renderer.row(answer)
    return answer.source


def load_labelled(models: ModelRegistry, config: ServeConfig) -> Served:
    """Load what the configured label of a model points to.

    Raises:
        NotFound: the label has no record.
        BadArtifact: as ``load``.
    """
    return load(models, config, models.head(config.label))
