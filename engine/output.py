"""Outputs: what a model answers, and where each answer stands in a row of values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.errors import BadSettings


@dataclass(frozen=True)
class Output:
    """One named output of a model.

    Args:
        name: an identifier.
        width: how many float32 values it has a row.
        range: lowest and highest value; what a uint8 codec spreads its 256 values over.
        group: outputs of one group share one codec scale; None is a group of its own.
        labels: a name for each of the ``width`` values, or none.
        parents: label -> label that it implies (a hierarchy), for outputs with labels.
        default: ``width`` values that stand in for an answer that would come too late, or one for all of them; None
            declares none.
    """

    name: str
    width: int = 1
    range: tuple[float, float] = (0.0, 1.0)
    group: str | None = None
    labels: tuple[str, ...] = ()
    parents: Mapping[str, str] = field(default_factory=dict)
    default: float | Sequence[float] | None = None

    def __post_init__(self) -> None:
        """Check the declaration."""
        low, high = (float(bound) for bound in self.range)
        where = f"output {self.name!r}"
        if not self.name.isidentifier():
            message = f"an output's name must be an identifier; got {self.name!r}"
            raise BadSettings(message)
        if self.width < 1 or not -math.inf < low < high < math.inf:
            message = f"{where} must have width >= 1 and a finite range low < high; got {self.width}, {self.range}"
            raise BadSettings(message)
        if self.labels and len(self.labels) != self.width:
            message = f"{where} must have one label per value: {self.width}; got {len(self.labels)}"
            raise BadSettings(message)
        strangers = (set(self.parents) | set(self.parents.values())) - set(self.labels)
        if strangers:
            message = f"{where}: a hierarchy must name its labels; got {sorted(strangers)}"
            raise BadSettings(message)
        if self.default is not None:
            object.__setattr__(self, "default", self._checked_default(self.default, low, high))
        object.__setattr__(self, "range", (low, high))
        object.__setattr__(self, "labels", tuple(self.labels))

    def _checked_default(self, default: float | Sequence[float], low: float, high: float) -> tuple[float, ...]:
        values = (default,) * self.width if isinstance(default, int | float) else tuple(default)
        if len(values) != self.width or not all(low <= value <= high for value in values):
            message = f"output {self.name!r} must have a default of {self.width} values within its range; got {default}"
            raise BadSettings(message)
        return tuple(float(value) for value in values)

    def to_json(self) -> dict[str, object]:
        """Return a plain form that ``OutputSchema.from_json`` reads back."""
        fields = {
            "name": self.name,
            "width": self.width,
            "range": list(self.range),
            "group": self.group,
            "labels": list(self.labels),
            "parents": dict(self.parents),
        }
        # Left out where there is none: bundles from before it was there keep their digests.
        return {**fields, **({} if self.default is None else {"default": list(self.default)})}  # type: ignore[arg-type]


class OutputSchema:
    """All outputs of a model, in order: a row of answers is their values side by side, ``width`` float32 in all."""

    def __init__(self, outputs: Iterable[Output]) -> None:
        """Lay the outputs out.

        Raises:
            BadSettings: none, or two of one name.
        """
        self.outputs = tuple(outputs)
        self.slices: dict[str, slice] = {}
        start = 0
        for output in self.outputs:
            if output.name in self.slices:
                message = f"outputs must have distinct names; got {output.name!r} twice"
                raise BadSettings(message)
            self.slices[output.name] = slice(start, start + output.width)
            start += output.width
        if not start:
            message = "a model must have at least one output; got none"
            raise BadSettings(message)
        self.width = start

    @property
    def default(self) -> tuple[float, ...] | None:
        """The outputs' defaults side by side, or None unless every output declares one."""
        values: list[float] = []
        for output in self.outputs:
            if output.default is None:
                return None
            values += output.default  # type: ignore[arg-type]  # a tuple, once it is checked
        return tuple(values)

    @property
    def names(self) -> tuple[str, ...]:
        """The outputs' names, in order."""
        return tuple(self.slices)

    def named(self, values: tuple[float, ...] | list[float]) -> dict[str, float | list[float]]:
        """Return one row's values by output: a number where the width is 1, else a list."""
        return {
            output.name: values[place.start] if output.width == 1 else list(values[place])
            for output, place in zip(self.outputs, self.slices.values(), strict=True)
        }

    def to_json(self) -> list[dict[str, object]]:
        """Return a plain form that ``from_json`` reads back."""
        return [output.to_json() for output in self.outputs]

    @classmethod
    def from_json(cls, items: list[dict[str, object]]) -> OutputSchema:
        """Build from what ``to_json`` gave.

        Raises:
            BadSettings: a field is missing, unknown or wrong.
        """
        try:
            return cls(Output(**item) for item in items)  # type: ignore[arg-type]
        except (TypeError, ValueError) as error:
            message = f"outputs must be a list of name, width, range, group, labels, parents, default: {error}"
            raise BadSettings(message) from error
