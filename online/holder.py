"""What is served right now: one loaded release a model and label, swapped by one reference assignment."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from engine.answer import Source
from engine.errors import BadArtifact, NotFound
from engine.label import LabelRecord
from engine.predictor import Predictor
from engine.registry import ModelRegistry
from online.config import ServeConfig
from online.responses import Renderer

_log = logging.getLogger(__name__)
# What a model may take that is asked on the event loop's thread: lookups wait so long. Handing a request to a thread
# and back takes some 0.1 ms. ``_FEW`` rows fill the second of the runtime's shapes.
_QUICK_ROW_S, _QUICK_ROWS_S, _FEW, _TRIES = 0.1e-3, 0.5e-3, 32, 3
# Model and label.
Place = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Served:
    """A release that answers. A request takes one and keeps it to its end: no answer mixes two.

    Attributes:
        model: the model's name.
        label: the label that was followed here.
        record: the label's record that led here.
        predictor: the loaded release; labels that point to the same one share it.
        renderer: of its answers.
        quick: whether the model answers a few rows in less time than it takes to hand them to a thread and back.
    """

    model: str
    label: str
    record: LabelRecord
    predictor: Predictor
    renderer: Renderer
    quick: bool

    @property
    def place(self) -> Place:
        """Where it is served."""
        return self.model, self.label

    @property
    def release(self) -> int:
        """The number of the release."""
        return self.predictor.release.number


class Holder:
    """The releases being served, by model and label, and how following the labels goes.

    Thread-safe: readers take one reference; only the follower writes, one item at a time.

    Attributes:
        models: the models' names; each has a release at the first label, from the start on.
        labels: the labels followed; the first is that of requests that name none.
        current: place -> what is served; absent where a model has no such label yet.
        swaps: place -> release changes since the start.
        failures: place -> loads and label reads that failed since the start.
        problems: place -> why the label cannot be followed right now; absent where it can.
        checked: place -> ``time.monotonic`` of the last look at the label that succeeded.
    """

    def __init__(self, served: Sequence[Served], labels: tuple[str, ...]) -> None:
        """Begin with what was loaded at start."""
        self.current = {item.place: item for item in served}
        self.labels = labels
        self.models = tuple(dict.fromkeys(item.model for item in served))
        places = [(model, label) for model in self.models for label in labels]
        self.swaps = dict.fromkeys(places, 0)
        self.failures = dict.fromkeys(places, 0)
        self.problems: dict[Place, str] = {}
        self.checked = dict.fromkeys(places, time.monotonic())

    def get(self, model: str, *, version: str | None = None, label: str | None = None) -> Served:
        """Return what is served of a model, at a label or of a version (a release's number).

        Raises:
            NotFound: it is not served here.
        """
        if model not in self.models:
            message = f"model must be one of {', '.join(self.models)}; got {model[:80]!r}"
            raise NotFound(message)
        if version is not None:
            return self._of_version(model, version)
        served = self.current.get((model, label or self.labels[0]))
        if served is None:
            labels = ", ".join(item.label for item in self.of(model))
            message = f"label of {model!r} must be one that is served: {labels}; got {str(label)[:80]!r}"
            raise NotFound(message)
        return served

    def of(self, model: str) -> list[Served]:
        """Return what is served of a model, in the order of the labels."""
        found = (self.current.get((model, label)) for label in self.labels)
        return [served for served in found if served is not None]

    def swap(self, served: Served) -> None:
        """Serve another release from the next request on; the old one goes with its last request."""
        before = self.current.get(served.place)
        if before is not None and served.release != before.release:
            self.swaps[served.place] += 1
        self.current[served.place] = served

    def _of_version(self, model: str, version: str) -> Served:
        for served in self.of(model):
            if version == str(served.release):
                return served
        releases = ", ".join(str(served.release) for served in self.of(model))
        message = f"version of {model!r} must be a release that is served: {releases}; got {version[:80]!r}"
        raise NotFound(message)


def load(
    models: ModelRegistry, config: ServeConfig, label: str, record: LabelRecord, *, team_folder: str | None = None
) -> Served:
    """Load the release that a label's record points to, and warm it up with a golden row.

    Args:
        models: the model's part of the registry.
        config: the settings.
        label: the label.
        record: of the label.
        team_folder: where the workers of this server have one copy of each table; None where it has one worker.

    Raises:
        NotFound: the release is not there.
        BadArtifact: a file of it is damaged, or the golden row has no answer.
    """
    release = models.release(record.release)
    predictor = Predictor.load(models, release, threads=config.threads, scratch=config.scratch, shared=team_folder)
    renderer = Renderer(models.name, predictor, max_age_s=config.max_age_s)
    served = Served(
        model=models.name,
        label=label,
        record=record,
        predictor=predictor,
        renderer=renderer,
        quick=is_quick(predictor),
    )
    warm_up(served)
    if not predictor.same_numeric_class:
        _log.warning(
            "model %s release %d: this CPU is of numeric class %s, the bundle of %s: the model's answers are within "
            "1e-6 of those elsewhere, not equal to the bit",
            models.name,
            release.number,
            predictor.numeric_class,
            predictor.bundle.numeric_class,
        )
    return served


def is_quick(predictor: Predictor) -> bool:
    """Measure whether the model answers a row, and a few rows, in next to no time."""
    rows = _golden_rows(predictor)
    few = predictor.space.encode_rows([rows[0]] * _FEW).inputs
    return all(
        min(_seconds(partial(predictor.infer, inputs)) for _ in range(_TRIES)) <= limit_s
        for inputs, limit_s in ((predictor.space.encode_row(rows[0]), _QUICK_ROW_S), (few, _QUICK_ROWS_S))
    )


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _golden_rows(predictor: Predictor) -> Sequence[Mapping[str, object]]:
    rows, _ = predictor.bundle.golden_rows()
    if not rows:
        message = f"{predictor.bundle.path}/golden.json must have at least one row; got none. Export the bundle again"
        raise BadArtifact(message)
    return rows


def warm_up(served: Served) -> Source:
    """Score a golden row by the model and on the path of requests; return the latter's source.

    Raises:
        BadArtifact: the bundle has no golden row.
    """
    predictor = served.predictor
    rows = _golden_rows(predictor)
    predictor.infer(predictor.space.encode_row(rows[0]))
    predictor.predict_rows(rows[:2])  # Arrow loads parts of itself when it is first used: 40 ms
    answer = predictor.predict_row(rows[0])
    served.renderer.row(answer)
    return answer.source


def load_labelled(models: ModelRegistry, config: ServeConfig, *, team_folder: str | None = None) -> list[Served]:
    """Load what the configured labels of a model point to: the first must have a record, the others may come later.

    Raises:
        NotFound: the first label has no record.
        BadArtifact: as ``load``.
    """
    loaded: list[Served] = []
    for label in config.labels:
        record = models.head(label) if not loaded else models.label(label).head()
        if record is not None:
            served = shared(loaded, label, record) or load(models, config, label, record, team_folder=team_folder)
            loaded.append(served)
    return loaded


def shared(loaded: Sequence[Served], label: str, record: LabelRecord) -> Served | None:
    """Return what another label has loaded of the same release, or None."""
    for served in loaded:
        if served.release == record.release:
            return replace(served, label=label, record=record)
    return None
