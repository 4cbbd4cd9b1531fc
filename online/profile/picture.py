"""A profile as a picture: measured times, the line, and which part of it is overhead."""

from __future__ import annotations

from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import BadSettings
from online.profile.advice import PAYING_SHARE
from online.profile.profile import Profile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = (".png", ".svg")


def check_picture(target: Path) -> None:
    """Refuse what could not be drawn, before anything is measured.

    Raises:
        BadSettings: matplotlib is missing, or the name has another ending.
    """
    if target.suffix.lower() not in FORMATS:
        message = f"--picture must end with {' or '.join(FORMATS)}; got {str(target)!r}"
        raise BadSettings(message)
    if find_spec("matplotlib") is None:
        message = (
            "--picture must have matplotlib to draw with; got none. pip install matplotlib, or leave --picture out"
        )
        raise BadSettings(message)


def draw(profile: Profile, ending: str) -> bytes:
    """Return a picture; ``ending`` is one of ``FORMATS``. Both axes are logarithmic, time is in milliseconds."""
    import numpy as np
    from matplotlib.figure import Figure

    line, points = profile.fit.line, profile.measurement.points
    rows = np.geomspace(points[0].rows / 1.2, points[-1].rows * 1.2, 200)
    overhead_ms, total_ms = np.full(len(rows), line.overhead_s * 1e3), (line.overhead_s + rows * line.compute_s) * 1e3
    medians_ms = np.array([point.median_s for point in points]) * 1e3
    p99_ms = np.array([point.p99_s for point in points]) * 1e3
    floor_ms = min(medians_ms.min(), total_ms.min()) / 4

    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.add_subplot(xscale="log", yscale="log")
    axes.fill_between(rows, floor_ms, np.maximum(overhead_ms, floor_ms), color="#f2a65a", alpha=0.55, lw=0)
    axes.fill_between(rows, np.maximum(overhead_ms, floor_ms), total_ms, color="#4d8fc4", alpha=0.45, lw=0)
    names = [f"overhead {line.overhead_s * 1e3:.3g} ms a request", f"compute {line.compute_s * 1e6:.3g} µs a row"]
    for name, area in zip(names, axes.collections, strict=True):
        area.set_label(name)
    axes.plot(rows, total_ms, color="#1d3557", label="overhead + rows x compute")
    axes.vlines([point.rows for point in points], medians_ms, p99_ms, color="#1d3557", lw=1)
    axes.plot([point.rows for point in points], medians_ms, "o", color="#c1121f", label="measured median, up to p99")
    _mark(axes, line.balanced_rows, "equal", rows[-1])
    _mark(axes, line.rows_reaching(PAYING_SHARE), f"{PAYING_SHARE:.0%} of the top rate", rows[-1])
    axes.set_xlim(rows[0], rows[-1])
    axes.set_ylim(bottom=floor_ms)
    axes.set_xlabel("rows in one request")
    axes.set_ylabel("milliseconds a request")
    axes.set_title(f"{profile.model.described()}; {profile.form}")
    axes.legend(loc="upper left")
    content = BytesIO()
    figure.savefig(content, format=ending.removeprefix(".").lower(), dpi=110)
    return content.getvalue()


def _mark(axes: Axes, rows: float | None, text: str, largest: float) -> None:
    """Draw a dotted line at a size, where it is within the picture."""
    if rows is not None and 1 < rows < largest:
        axes.axvline(rows, color="#555555", ls=":", lw=1)
        axes.annotate(
            f" {text}: {rows:,.0f} rows", (rows, 0.02), xycoords=("data", "axes fraction"), rotation=90, fontsize=9
        )
