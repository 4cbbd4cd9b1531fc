"""A definition: a scientist's code. Only training imports it; servers and jobs read bundles."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from engine.errors import BadSettings, ForetableError
from engine.limits import GateLimits
from engine.output import Output, OutputSchema
from engine.space import FeatureSpace


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How long and in which steps a model trains.

    Attributes:
        epochs: at most so many passes over the data.
        batch_rows: rows a step.
        patience: stop after so many epochs without a lower validation loss.
        seed: of the weights, the shuffles and dropout: the same seed gives the same weights on one kind of CPU.
    """

    epochs: int = 5
    batch_rows: int = 1024
    patience: int = 2
    seed: int = 1


@dataclass(frozen=True)
class Examples:
    """Labelled rows: raw feature columns by name, and one column per output.

    A label column is float32, or a fixed-size list of float32 where the output's width is above 1.

    Attributes:
        train: what the weights are fitted to.
        holdout: never seen in training; the bundle's metrics come from it.
        validation: decides when to stop; None takes the holdout, which makes its metrics slightly optimistic.
    """

    train: pa.Table
    holdout: pa.Table
    validation: pa.Table | None = None


class Definition(ABC):
    """One model: what goes in, what comes out, how it is built, how its training data is read."""

    name: ClassVar[str]
    space: ClassVar[FeatureSpace]
    outputs: ClassVar[Sequence[Output]]
    settings: ClassVar[TrainSettings] = TrainSettings()
    limits: ClassVar[GateLimits] = GateLimits()

    @abstractmethod
    def build(self) -> Any:  # a keras.Model, which the engine must not import
        """Return a compiled ``keras.Model``.

        Its inputs are a dict by feature name: an int32 index of shape [n] for categorical and bucketed features
        (``feature.cardinality`` values), a float32 of shape [n] for numbers, [n, *shape] for tensors. Its outputs are
        a dict by output name, float32 of shape [n, width].
        """

    @abstractmethod
    def examples(self, source: str) -> Examples:
        """Read labelled rows from ``source``, a path or URL; the empty string means the definition's own data."""

    @property
    def schema(self) -> OutputSchema:
        """The outputs, laid out."""
        return OutputSchema(self.outputs)


def load_definition(path: str) -> Definition:
    """Import a definition from a Python file that has a module-level ``definition``.

    Raises:
        BadSettings: there is no such file, it cannot be imported, or it has no ``Definition`` of that name.
    """
    file = Path(path)
    if not file.is_file():
        message = f"a definition must be a Python file; got {path!r}, which does not exist"
        raise BadSettings(message)
    spec = importlib.util.spec_from_file_location(f"foretable_definition_{file.stem}", file)
    if spec is None or spec.loader is None:
        message = f"a definition must be a Python file; got {path!r}"
        raise BadSettings(message)
    module = importlib.util.module_from_spec(spec)
    folder = str(file.parent.absolute())
    if folder not in sys.path:  # as for a script: a definition may import the files beside it
        sys.path.append(folder)
    sys.modules[spec.name] = module  # a dataclass and a layer look their module up by its name
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[spec.name]
        if isinstance(error, (ForetableError, KeyboardInterrupt, SystemExit)):
            raise
        message = (
            f"{path}: must be Python that can be imported; got {type(error).__name__}: {error}{_place(error, file)}"
        )
        raise BadSettings(message) from error
    found = getattr(module, "definition", None)
    if not isinstance(found, Definition):
        message = f"{path}: must set `definition` to a Definition; got {type(found).__name__}"
        raise BadSettings(message)
    return found


def _place(error: BaseException, file: Path) -> str:
    """Return the line of the definition at which an import failed, as a text to append."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    return f" (line {lines[-1]})" if lines else ""
