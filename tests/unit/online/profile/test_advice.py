"""The advice: one sentence that the figures bear out."""

from __future__ import annotations

import pytest

from online.profile.advice import Situation, advise
from online.profile.fit import Line

LARGEST = 10_000


def told(line: Line, *, form: str = "json", source: str = "table", finite: bool = True) -> str:
    sentence = advise(
        line, Situation(form=form, source=source, finite=finite, largest_rows=LARGEST, one_row_s=line.seconds(1))
    )
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def test_overhead_says_batch_and_how_much() -> None:
    sentence = told(Line(9e-4, 1e-6), source="model", finite=False)
    assert sentence == (
        "Batch requests: over 99% of the 0.901 ms of a single row is overhead, and 8,100 rows in one request reach 90% "
        "of 1,000,000 rows/s, while a faster variant would save at most 1 µs a row."
    )


def test_one_row_on_a_shorter_path_is_told_as_it_is() -> None:
    situation = Situation(form="json", source="table", finite=True, largest_rows=LARGEST, one_row_s=2e-4)
    assert advise(Line(9e-4, 1e-5), situation).startswith("Batch requests: 95% of the 0.2 ms of a single row")


def test_finite_space_could_have_a_table() -> None:
    assert "a table or a faster variant would save at most 1 µs a row" in told(Line(9e-4, 1e-6), source="model")


def test_table_needs_no_faster_model() -> None:
    assert "the table answers already" in told(Line(9e-4, 1e-6))


def test_rate_that_still_grows_is_not_extrapolated() -> None:
    sentence = told(Line(9e-3, 1e-6))
    assert "the rate still grows at 10,000 rows in one request" in sentence
    assert "81,000" not in sentence


@pytest.mark.parametrize("compute_s", [0.0, 1e-10])
def test_rows_that_cost_nothing_say_batch(compute_s: float) -> None:
    assert told(Line(1e-3, compute_s)).startswith("Batch requests: up to 10,000 rows cost hardly more than one")


@pytest.mark.parametrize(
    "form, source, finite, beginning",
    [
        ("json", "model", True, "Precompute a table"),
        ("arrow", "model", True, "Precompute a table"),
        ("json", "model", False, "Take another variant"),
        ("json", "table", True, "Send Arrow"),
        ("arrow", "table", True, "Nothing"),
    ],
)
def test_computation_says_what_would_save_it(form: str, source: str, finite: bool, beginning: str) -> None:
    assert told(Line(1e-4, 5e-3), form=form, source=source, finite=finite).startswith(beginning)
