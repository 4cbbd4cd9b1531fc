"""Features: a name, a kind, and how a raw value becomes model input.

A new kind is one class here, an entry in ``KINDS``, and its encoder in ``engine.encoder``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import ClassVar, Self, TypeVar

import numpy as np

from engine.coerce import category_text, number_value
from engine.errors import BadSettings, InvalidInput

T = TypeVar("T")


class Unknown(StrEnum):
    """What an unknown category means."""

    REJECT = "reject"  # the row is invalid
    MODEL = "model"  # a trained out-of-vocabulary index; not in the table, so a miss
    SLOT = "slot"  # one more value, which counts in the table's size


@dataclass(frozen=True)
class Feature:
    """What every kind has: a name, and the fields its JSON form carries."""

    name: str
    kind: ClassVar[str] = ""

    def to_json(self) -> dict[str, object]:
        """Return a plain form that ``feature_from_json`` reads back."""
        fields = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        return {"kind": self.kind, **fields}

    @classmethod
    def from_json(cls, fields: dict[str, object]) -> Self:
        """Build from what ``to_json`` gave, less its ``kind``."""
        return cls(**fields)  # type: ignore[arg-type]  # checked by each kind's __post_init__

    def _declared(self, coerce: Callable[[object], T], value: object) -> T:
        try:
            return coerce(value)
        except InvalidInput as error:
            message = f"feature {self.name!r}: each declared value {error}"
            raise BadSettings(message) from error

    def _check_name(self) -> None:
        if not str(self.name).isidentifier():
            message = f"a feature's name must be an identifier (letters, digits, _); got {self.name!r}"
            raise BadSettings(message)


@dataclass(frozen=True)
class IndexFeature(Feature):
    """A feature that the model sees as an int32 index: the finite kinds."""

    @property
    def cardinality(self) -> int:
        """How many indices the model can see: the rows of an embedding."""
        raise NotImplementedError

    @property
    def size(self) -> int:
        """How many indices, from 0 up, a lookup table holds."""
        raise NotImplementedError

    def raw(self, index: int) -> str | float:
        """Return a raw value that encodes to ``index``."""
        raise NotImplementedError


@dataclass(frozen=True)
class Categorical(IndexFeature):
    """One of a declared list of values; the index is the position in that list.

    Args:
        name: the feature's name.
        values: the categories; each is kept as its canonical text (``engine.coerce``).
        unknown: what any other category means; with ``model`` and ``slot`` its index is ``len(values)``.
    """

    values: tuple[str, ...] = ()
    unknown: Unknown = Unknown.REJECT
    kind: ClassVar[str] = "categorical"

    def __post_init__(self) -> None:
        """Check the declaration and bring the values to their canonical texts."""
        self._check_name()
        texts = tuple(self._declared(category_text, value) for value in self.values)
        if not texts:
            message = f"categorical feature {self.name!r} must have at least one value; got none"
            raise BadSettings(message)
        if len(set(texts)) != len(texts):
            twice = sorted({text for text in texts if texts.count(text) > 1})[:3]
            message = f"categorical feature {self.name!r} must have distinct values; got {twice} more than once"
            raise BadSettings(message)
        object.__setattr__(self, "values", texts)
        if self.unknown not in set(Unknown):
            message = (
                f"categorical feature {self.name!r} must have unknown one of {', '.join(Unknown)}; got {self.unknown!r}"
            )
            raise BadSettings(message)
        object.__setattr__(self, "unknown", Unknown(self.unknown))

    @property
    def cardinality(self) -> int:
        """The values, and one index more where unknown ones have one."""
        return len(self.values) + (self.unknown is not Unknown.REJECT)

    @property
    def size(self) -> int:
        """The values, and one more where unknown ones have a slot in the table."""
        return len(self.values) + (self.unknown is Unknown.SLOT)

    def raw(self, index: int) -> str:
        """Return the category at ``index``; past the end, a text that is in no vocabulary."""
        if index < len(self.values):
            return self.values[index]
        text = "unknown"
        while text in self.values:
            text += "_"
        return text

    def unknown_error(self, text: str) -> InvalidInput:
        """Return the error for a category outside the vocabulary."""
        shown = ", ".join(self.values[:8]) + (f", … ({len(self.values)} in all)" if len(self.values) > 8 else "")
        return InvalidInput(
            f"feature {self.name!r} must be one of {shown}; got {text[:80]!r}",
            cause="unknown_category",
            feature=self.name,
        )


@dataclass(frozen=True)
class Bucketed(IndexFeature):
    """A number of which the model sees only the bucket: the index is how many edges are at or below it.

    Args:
        name: the feature's name.
        edges: increasing, finite; kept as float32. ``n`` edges make ``n + 1`` buckets.
    """

    edges: tuple[float, ...] = ()
    kind: ClassVar[str] = "bucketed"

    def __post_init__(self) -> None:
        """Check the declaration and round the edges to float32."""
        self._check_name()
        edges = tuple(self._declared(number_value, edge) for edge in self.edges)
        # Nothing that is finite lies below the lowest float32: the first bucket would have no row.
        if not edges or any(low >= high for low, high in itertools.pairwise((float(np.finfo(np.float32).min), *edges))):
            message = f"bucketed feature {self.name!r} must have increasing edges (as float32); got {self.edges}"
            raise BadSettings(message)
        object.__setattr__(self, "edges", edges)

    @property
    def cardinality(self) -> int:
        """One bucket more than there are edges."""
        return len(self.edges) + 1

    @property
    def size(self) -> int:
        """The same: every bucket is in the table."""
        return len(self.edges) + 1

    def raw(self, index: int) -> float:
        """Return a number in the bucket: its lower edge; for the first, a float32 below every edge."""
        if index:
            return self.edges[index - 1]
        return float(np.nextafter(np.float32(self.edges[0]), np.float32(-math.inf)))


@dataclass(frozen=True)
class Number(Feature):
    """A float32 that the model sees as it is. A space with one is not finite."""

    kind: ClassVar[str] = "number"

    def __post_init__(self) -> None:
        """Check the declaration."""
        self._check_name()


@dataclass(frozen=True)
class Tensor(Feature):
    """A float32 tensor of a fixed shape, such as an image or an embedding. A space with one is not finite."""

    shape: tuple[int, ...] = ()
    kind: ClassVar[str] = "tensor"

    def __post_init__(self) -> None:
        """Check the declaration."""
        self._check_name()
        shape = tuple(int(length) for length in self.shape)
        if not shape or min(shape) < 1:
            message = f"tensor feature {self.name!r} must have a shape of positive lengths; got {self.shape}"
            raise BadSettings(message)
        object.__setattr__(self, "shape", shape)


KINDS: dict[str, type[Feature]] = {kind.kind: kind for kind in (Categorical, Bucketed, Number, Tensor)}


def feature_from_json(fields: dict[str, object]) -> Feature:
    """Build a feature from its JSON form.

    Raises:
        BadSettings: the kind is not known here, or a field is wrong.
    """
    fields = dict(fields)
    kind = fields.pop("kind", None)
    if kind not in KINDS:
        message = f"a feature's kind must be one of {', '.join(KINDS)}; got {kind!r}. Upgrade foretable"
        raise BadSettings(message)
    try:
        return KINDS[str(kind)].from_json(fields)
    except TypeError as error:
        message = f"feature {fields.get('name')!r} of kind {kind!r} has unexpected fields: {error}"
        raise BadSettings(message) from error
