"""The trade between latency and rate as a picture: a panel a client, a colour a profile."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from bench.stream_process import CLIENTS, LATENCY, THROUGHPUT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bench.bars.stream_trade import Point

# Okabe and Ito's blue and vermilion, which everybody can tell apart; markers and lines differ, too.
_COLOURS = {LATENCY: "#0072B2", THROUGHPUT: "#D55E00"}
_MARKERS = {LATENCY: "o", THROUGHPUT: "s"}


def draw(points: Sequence[Point]) -> bytes:
    """Return the picture as PNG. Both axes are logarithmic, time is in milliseconds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.2), layout="constrained")
    panels = figure.subplots(1, len(CLIENTS), sharey=True)
    for axes, client in zip(panels, CLIENTS, strict=True):
        _draw_client(axes, [point for point in points if point.client == client])
        axes.set_title(client)
    panels[0].set_ylabel("milliseconds from due to answered")
    figure.supxlabel("requests per second: 10, 25, 50 and 75 % of what each can do", fontsize="medium")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    content = BytesIO()
    figure.savefig(content, format="png", dpi=110)
    return content.getvalue()


def _draw_client(axes: Axes, points: Sequence[Point]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    axes.set_yscale("log")
    for profile, colour in _COLOURS.items():
        mine = [point for point in points if point.profile == profile]
        rates = [point.rate for point in mine]
        p50_ms, p99_ms = ([value * 1e3 for value in values] for values in zip(*_times(mine), strict=True))
        axes.fill_between(rates, p50_ms, p99_ms, color=colour, alpha=0.13, lw=0)
        marker = _MARKERS[profile]
        axes.plot(rates, p99_ms, f"--{marker}", color=colour, ms=5, mfc="white", label=f"{profile} profile, p99")
        axes.plot(rates, p50_ms, f"-{marker}", color=colour, ms=5, label=f"{profile} profile, p50")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axis.set_minor_locator(NullLocator())
    axes.grid(color="#dddddd", lw=0.8)
    axes.set_axisbelow(True)


def _times(points: Sequence[Point]) -> list[tuple[float, float]]:
    return [(point.p50_s, point.p99_s) for point in points]
