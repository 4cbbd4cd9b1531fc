"""Whether a variant may stand in for float32: a decision on measured figures, and the record of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from engine.bundle import Bundle
from engine.errors import BadSettings, Refused
from engine.limits import GateLimits
from jobs.variant_figures import OutputError, VariantFigures, measure_variants

REFERENCE = "float32"
# Of a table's or a release's measurement: enough rows that the largest error of a small output is found again.
SAMPLE_ROWS = 10_000


@dataclass(frozen=True)
class VariantChoice:
    """A variant that was taken.

    Attributes:
        figures: what was measured.
        objections: why it should not have been taken; empty unless overridden.
        override: the reason to take it all the same, or None.
    """

    figures: VariantFigures
    objections: tuple[str, ...] = ()
    override: str | None = None

    def __str__(self) -> str:
        """Return what was measured, as people read it."""
        worst = max(error.largest for error in self.figures.errors.values())
        text = (
            f"{self.figures.variant} has {self.figures.bulk_ratio:.2f} times float32's bulk rate on this host and errs "
            f"by {worst:.3g} at most"
        )
        return f"{text}; overridden: {self.override}" if self.objections else text

    def to_json(self) -> dict[str, Any]:
        """Return a plain form for a manifest."""
        return {**asdict(self.figures), "objections": list(self.objections), "override": self.override}


def objections(figures: VariantFigures, limits: Mapping[str, float]) -> list[str]:
    """Return why float32 should be taken instead; empty where the variant may be.

    Args:
        figures: of a variant; float32 itself has no objections.
        limits: output -> the largest absolute error allowed.
    """
    if figures.variant == REFERENCE:
        return []
    found = error_objections(figures.errors, limits)
    if not figures.bulk_ratio > 1:
        found.insert(0, f"its bulk rate must be above float32's; got {figures.bulk_ratio:.3f} times it on this host")
    return found


def error_objections(errors: Mapping[str, OutputError], limits: Mapping[str, float]) -> list[str]:
    """Return which outputs err by more than they may; an error that is no number is too large."""
    return [
        f"output {name!r} must be within {limits[name]:.3g} of float32; got {error.largest:.3g}"
        for name, error in errors.items()
        if not error.largest <= limits[name]
    ]


def advice(measured: list[VariantFigures], limits: Mapping[str, float]) -> tuple[str, str]:
    """Return which of the measured variants to take, and why: the fastest in bulk that nothing speaks against."""
    against = {figures.variant: objections(figures, limits) for figures in measured}
    best = max((figures for figures in measured if not against[figures.variant]), key=lambda one: one.bulk_ratio)
    if best.variant != REFERENCE:
        worst = max(best.errors.values(), key=lambda error: error.largest).largest
        return best.variant, f"{best.bulk_ratio:.2f} times float32's bulk rate; errs by {worst:.3g} at most, as allowed"
    listed = [f"{variant}: {'; '.join(reasons)}" for variant, reasons in against.items() if reasons]
    return REFERENCE, ". ".join(listed) or "there is no other variant"


def choose(bundle: Bundle, variant: str, *, override: str | None = None) -> VariantChoice | None:
    """Measure a variant on this host and hold it to the definition's limits; None for float32, which needs neither.

    Raises:
        Refused: it is no faster than float32, or errs by more than the limit, and there is no override.
        BadSettings: the bundle has no such variant, or the override no reason.
        BadArtifact: a file is damaged.
    """
    if override is not None and not override.strip():
        message = "an override must have a reason, which the table's manifest keeps; got none"
        raise BadSettings(message)
    if variant == REFERENCE:
        return None
    (figures,) = measure_variants(bundle, [variant], rows=SAMPLE_ROWS)
    limits = GateLimits.from_json(bundle.manifest["limits"]).variant_limits(bundle.schema)
    against = objections(figures, limits)
    if against and override is None:
        message = f"variant {variant} of bundle {bundle.identity}: {'; '.join(against)}. Take float32, or --override"
        raise Refused(message)
    return VariantChoice(figures, tuple(against), override if against else None)
