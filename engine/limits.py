"""What the publish gate holds a candidate to: declared with the definition, carried in the bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from engine.errors import BadArtifact


@dataclass(frozen=True, kw_only=True)
class GateLimits:
    """Limits of one model's gate.

    Attributes:
        metric_drop: metric name -> by how much it may be worse than production's. A metric whose name ends in
            ``auc`` or ``accuracy`` is better when higher, every other one when lower. Metrics not named are not held.
        stability_index: the largest distance of the response distribution from production's (see
            ``engine.histogram``); 0.25 is the field's custom for a large change.
        codec_error: the largest error of the codec against float32, in the outputs' unit; None is the codec's own
            promise: half a step within the declared range.
    """

    metric_drop: Mapping[str, float] = field(default_factory=dict)
    stability_index: float = 0.25
    codec_error: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a plain form that ``from_json`` reads back."""
        return {**asdict(self), "metric_drop": dict(self.metric_drop)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> GateLimits:
        """Build from what ``to_json`` gave.

        Raises:
            BadArtifact: a field is not known here.
        """
        try:
            return cls(**fields)
        except TypeError as error:
            message = f"a bundle's gate limits must be those of this version: {error}. Upgrade foretable"
            raise BadArtifact(message) from error
