"""What is served right now: one loaded release a model and label, swapped by one reference assignment."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from engine.errors import NotFound
from engine.label import LabelRecord
from engine.predictor import Predictor
from engine.registry import ModelRegistry

# Model and label.
Place = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A release that answers. Who uses one keeps it to the end of what it does: no answer mixes two.

    Attributes:
        model: the model's name.
        label: the label that was followed here.
        record: the label's record that led here.
        predictor: the loaded release; labels that point to the same one share it.
    """

    model: str
    label: str
    record: LabelRecord
    predictor: Predictor

    @property
    def place(self) -> Place:
        """Where it is served."""
        return self.model, self.label

    @property
    def release(self) -> int:
        """The number of the release."""
        return self.predictor.release.number


L = TypeVar("L", bound=Loaded)
# Loads the release that a label's record points to.
Load = Callable[[ModelRegistry, str, LabelRecord], L]


class Holder(Generic[L]):
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

    def __init__(self, loaded: Sequence[L], labels: tuple[str, ...]) -> None:
        """Begin with what was loaded at start."""
        self.current = {item.place: item for item in loaded}
        self.labels = labels
        self.models = tuple(dict.fromkeys(item.model for item in loaded))
        places = [(model, label) for model in self.models for label in labels]
        self.swaps = dict.fromkeys(places, 0)
        self.failures = dict.fromkeys(places, 0)
        self.problems: dict[Place, str] = {}
        self.checked = dict.fromkeys(places, time.monotonic())

    def get(self, model: str, *, version: str | None = None, label: str | None = None) -> L:
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

    def of(self, model: str) -> list[L]:
        """Return what is served of a model, in the order of the labels."""
        found = (self.current.get((model, label)) for label in self.labels)
        return [served for served in found if served is not None]

    def swap(self, served: L) -> None:
        """Serve another release from the next request on; the old one goes with its last request."""
        before = self.current.get(served.place)
        if before is not None and served.release != before.release:
            self.swaps[served.place] += 1
        self.current[served.place] = served

    def _of_version(self, model: str, version: str) -> L:
        for served in self.of(model):
            if version == str(served.release):
                return served
        releases = ", ".join(str(served.release) for served in self.of(model))
        message = f"version of {model!r} must be a release that is served: {releases}; got {version[:80]!r}"
        raise NotFound(message)


def shared(loaded: Sequence[L], label: str, record: LabelRecord) -> L | None:
    """Return what another label has loaded of the same release, or None."""
    for each in loaded:
        if each.release == record.release:
            return replace(each, label=label, record=record)
    return None


def load_labelled(models: ModelRegistry, labels: Sequence[str], load: Load[L]) -> list[L]:
    """Load what labels of a model point to: the first must have a record, the others may come later.

    Raises:
        NotFound: the first label has no record.
        BadArtifact: as ``load``.
    """
    loaded: list[L] = []
    for label in labels:
        record = models.head(label) if not loaded else models.label(label).head()
        if record is not None:
            loaded.append(shared(loaded, label, record) or load(models, label, record))
    return loaded
