"""The model that is profiled, as its server describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import BadSettings, ForetableError
from engine.space import FeatureSpace


@dataclass(frozen=True)
class ProfiledModel:
    """What of a model's metadata bears on its speed.

    Attributes:
        name: the model's.
        label: the label that its release is followed at.
        release: the number of the release when measuring began.
        variant: which LiteRT model answers.
        has_table: whether the release has a lookup table.
        space: its features.
    """

    name: str
    label: str
    release: int
    variant: str
    has_table: bool
    space: FeatureSpace

    @classmethod
    def of_metadata(cls, document: Mapping[str, Any]) -> ProfiledModel:
        """Read what ``/v1/models/M/metadata`` gave.

        Raises:
            BadSettings: a field is missing or of another form.
        """
        try:
            ours = document["foretable"]
            return cls(
                name=str(document["model_spec"]["name"]),
                label=str(ours["label"]),
                release=int(ours["release"]),
                variant=str(ours["variant"]),
                has_table=ours["table"] is not None,
                space=FeatureSpace.from_json(ours),
            )
        except (KeyError, TypeError, ValueError, ForetableError) as error:
            message = (
                f"metadata of the model must be of this version's form; got {type(error).__name__}: {error}. "
                "Take the foretable of the server's version"
            )
            raise BadSettings(message) from error

    @property
    def finite(self) -> bool:
        """Whether the space can have a table."""
        return self.space.numbering is not None

    def described(self) -> str:
        """Return one line for people."""
        table = "with a table" if self.has_table else "without a table"
        return f"{self.name} release {self.release} ({self.label}), variant {self.variant}, {table}"
