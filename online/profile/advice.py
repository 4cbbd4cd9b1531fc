"""What to optimise, read off the line and off where the answers came from."""

from __future__ import annotations

from dataclasses import dataclass

from online.profile.fit import Line

# Nearer to the top rate than this, larger batches cost latency and gain nearly nothing.
PAYING_SHARE = 0.9
# Below a tenth, what rows cost in the largest request is within the noise of its overhead.
_SEEN_SHARE = 0.1


@dataclass(frozen=True)
class Situation:
    """What bears on the advice beside the line.

    Attributes:
        form: of the bodies, ``json`` or ``arrow``.
        source: where most answers came from, ``table`` or ``model``.
        finite: whether the space can have a table.
        largest_rows: the largest request that was measured.
        one_row_s: how long a request of one row takes, above 0.
    """

    form: str
    source: str
    finite: bool
    largest_rows: int
    one_row_s: float


def advise(line: Line, situation: Situation) -> str:
    """Return one sentence: batch, precompute, take another variant, take Arrow, or nothing."""
    row_ms = situation.one_row_s * 1e3
    share = max(0.0, 1 - line.compute_s / situation.one_row_s)
    overhead, compute = _percent(share), _percent(1 - share)
    largest = situation.largest_rows
    if line.compute_s * largest < _SEEN_SHARE * line.overhead_s:
        return (
            f"Batch requests: up to {largest:,} rows cost hardly more than one, whose {row_ms:.3g} ms are overhead; "
            "measure larger sizes to see where that ends."
        )
    if share >= 0.5:
        paying = line.rows_reaching(PAYING_SHARE) or 1
        reached = (
            f"{paying:,} rows in one request reach {PAYING_SHARE:.0%} of {line.top_rate:,.0f} rows/s"
            if paying <= largest
            else f"the rate still grows at {largest:,} rows in one request"
        )
        return (
            f"Batch requests: {overhead} of the {row_ms:.3g} ms of a single row is overhead, and {reached}"
            f"{_beside(line, situation)}."
        )
    if situation.source == "model":
        if situation.finite:
            return (
                f"Precompute a table (foretable precompute): {compute} of the {row_ms:.3g} ms of a single row is "
                "computation by the model, and the space is finite."
            )
        return (
            f"Take another variant (foretable variants): {compute} of the {row_ms:.3g} ms of a single row is "
            "computation, which batches do not save, and the space is not finite, so no table can hold it."
        )
    if situation.form == "json":
        return (
            f"Send Arrow (--form arrow): {compute} of the {row_ms:.3g} ms of a single row is computation, and "
            "since the table answers that is mostly reading and printing JSON."
        )
    return "Nothing: the table answers, rows travel as Arrow, and overhead is the smaller part already of a single row."


def _percent(share: float) -> str:
    return "over 99%" if 0.995 <= share < 1 else f"{share:.0%}"


def _beside(line: Line, situation: Situation) -> str:
    """Say what the model has to do with it."""
    if situation.source == "table":
        return ", while the table answers already and a faster model would change nothing"
    faster = "a table or a faster variant" if situation.finite else "a faster variant"
    return f", while {faster} would save at most {line.compute_s * 1e6:.3g} µs a row"
