"""What the publish gate holds a candidate to: declared with the definition, carried in the bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from engine.errors import BadArtifact
from engine.output import OutputSchema

# Of the declared range. Over 10^6 rows of the flights example int8 errs by 0.002 of it at most: a fifth of this would
# refuse sound variants, ten times this would pass ones that change decisions.
_VARIANT_SHARE = 0.01


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
        variant_error: the largest error of a variant, such as int8, against the float32 one, before the codec, in the
            outputs' unit; None is a hundredth of each output's declared range.
    """

    metric_drop: Mapping[str, float] = field(default_factory=dict)
    stability_index: float = 0.25
    codec_error: float | None = None
    variant_error: float | None = None

    def variant_limits(self, schema: OutputSchema) -> dict[str, float]:
        """Return the largest error that a variant may have, by output."""
        if self.variant_error is not None:
            return dict.fromkeys(schema.names, self.variant_error)
        return {output.name: _VARIANT_SHARE * (output.range[1] - output.range[0]) for output in schema.outputs}

    def to_json(self) -> dict[str, Any]:
        """Return a plain form that ``from_json`` reads back."""
        fields = {**asdict(self), "metric_drop": dict(self.metric_drop)}
        if self.variant_error is None:  # left out: versions from before it was there read the limits all the same
            del fields["variant_error"]
        return fields

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
