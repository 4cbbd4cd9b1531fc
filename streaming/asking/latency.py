"""Latencies as text."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

_BAR = 40
_PERCENTILES = (50, 90, 99)
# 1, 2, 5, 10 … ms, up to a bit over an hour: each bucket is twice as wide as the one before.
_EDGES_MS = [step * 10**power for power in range(7) for step in (1, 2, 5)]


def latency_text(latencies_s: Sequence[float]) -> str:
    """Return p50, p90, p99 and the largest, and how many took how long, as bars."""
    ordered = sorted(latencies_s)
    told = [f"p{percent} {_milliseconds(percentile(ordered, percent))}" for percent in _PERCENTILES]
    return "\n".join([", ".join([*told, f"max {_milliseconds(ordered[-1])}"]), *_bars(ordered)])


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the smallest value that so many percent do not exceed (nearest rank).

    Args:
        ordered: ascending, at least one.
        percent: above 0, 100 at most.
    """
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]


def _bars(ordered: Sequence[float]) -> list[str]:
    """Return a line a bucket, from the first that holds something to the last."""
    counts = [0] * (len(_EDGES_MS) + 1)
    for latency_s in ordered:
        counts[bisect_left(_EDGES_MS, latency_s * 1000)] += 1
    held = [place for place, count in enumerate(counts) if count]
    most = max(counts)
    lines = []
    for place in range(held[0], held[-1] + 1):
        edge = f"≤ {_EDGES_MS[place]:,} ms" if place < len(_EDGES_MS) else f"> {_EDGES_MS[-1]:,} ms"
        bar = "█" * math.ceil(counts[place] / most * _BAR)
        lines.append(f"{edge:>14} {counts[place]:>9,}  {bar}".rstrip())
    return lines


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms"
