"""The decision on a variant, from figures that are written down here: no clock runs."""

from __future__ import annotations

import math

import pytest

from jobs.variant_choice import VariantChoice, advice, error_objections, objections
from jobs.variant_figures import OutputError, VariantFigures

LIMITS = {"click": 0.01, "share": 0.02}


def figures(ratio: float, click: float = 0.001, share: float = 0.002, variant: str = "int8") -> VariantFigures:
    return VariantFigures(
        variant=variant,
        size_bytes=1000,
        row_median_us=10.0,
        row_p99_us=20.0,
        bulk_rows_per_s=1e6 * ratio,
        bulk_ratio=ratio,
        errors={"click": OutputError(click, click / 10), "share": OutputError(share, share / 10)},
    )


FLOAT32 = figures(1.0, 0.0, 0.0, "float32")


def test_a_faster_variant_within_its_limits_may_be_taken() -> None:
    assert objections(figures(1.001, 0.01, 0.02), LIMITS) == []


@pytest.mark.parametrize("ratio", [1.0, 0.999, 0.0, math.nan])
def test_a_variant_that_is_not_faster_is_refused(ratio: float) -> None:
    (reason,) = objections(figures(ratio), LIMITS)
    assert reason == f"its bulk rate must be above float32's; got {ratio:.3f} times it on this host"


@pytest.mark.parametrize("share", [0.0201, math.nan, math.inf])
def test_a_variant_that_errs_by_more_than_its_output_may_is_refused(share: float) -> None:
    (reason,) = objections(figures(2.0, 0.01, share), LIMITS)
    assert reason == f"output 'share' must be within 0.02 of float32; got {share:.3g}"


def test_every_reason_is_named() -> None:
    found = objections(figures(0.5, 0.5, 0.5), LIMITS)
    assert [reason.split(" must")[0] for reason in found] == ["its bulk rate", "output 'click'", "output 'share'"]
    assert error_objections(figures(0.5, 0.5, 0.5).errors, LIMITS) == found[1:]


def test_nothing_speaks_against_float32() -> None:
    assert objections(FLOAT32, LIMITS) == []


def test_the_advice_is_the_fastest_that_nothing_speaks_against() -> None:
    assert advice([FLOAT32, figures(1.25)], LIMITS) == (
        "int8",
        "1.25 times float32's bulk rate; errs by 0.002 at most, as allowed",
    )
    assert advice([FLOAT32, figures(1.25), figures(1.5, variant="other")], LIMITS)[0] == "other"
    assert advice([FLOAT32, figures(1.25), figures(1.5, 1.0, variant="other")], LIMITS)[0] == "int8"


def test_the_advice_is_float32_where_others_fall_short_and_says_why() -> None:
    taken, why = advice([FLOAT32, figures(0.8)], LIMITS)
    assert taken == "float32"
    assert why == "int8: its bulk rate must be above float32's; got 0.800 times it on this host"
    assert advice([FLOAT32], LIMITS) == ("float32", "there is no other variant")


def test_what_was_measured_is_recorded_with_the_reason_of_an_override() -> None:
    sound = VariantChoice(figures(1.25))
    assert str(sound) == "int8 has 1.25 times float32's bulk rate on this host and errs by 0.002 at most"
    fields = sound.to_json()
    assert (fields["variant"], fields["bulk_ratio"], fields["objections"], fields["override"]) == (
        "int8",
        1.25,
        [],
        None,
    )
    assert fields["errors"]["share"] == {"largest": 0.002, "mean": 0.0002}
    forced = VariantChoice(figures(0.5), ("it is slow",), "memory counts here")
    assert str(forced).endswith("; overridden: memory counts here")
    assert forced.to_json()["override"] == "memory counts here"
