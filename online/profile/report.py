"""A profile as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from online.profile.advice import PAYING_SHARE
from online.profile.fit import Line
from online.profile.profile import Profile

_BAR = 24


def report(profile: Profile, *, bars: bool) -> str:
    """Return the table, the figures and the advice; with ``bars``, how much of each request is overhead."""
    return "\n".join([*_head(profile), "", *_table(profile, bars=bars), "", *_figures(profile)])


def _head(profile: Profile) -> Iterator[str]:
    found = profile.measurement
    requests = sum(len(point.seconds) for point in found.points)
    total = found.sources.total()
    sources = ", ".join(f"{source} {rows / total:.0%}" for source, rows in found.sources.most_common())
    yield profile.model.described()
    yield f"{profile.url}: {requests:,} requests of {profile.form}, {len(found.points)} sizes; answers: {sources}"


def _table(profile: Profile, *, bars: bool) -> Iterator[str]:
    line = profile.fit.line
    legend = "  █ overhead ░ compute" if bars else ""
    yield f"{'rows':>9} {'median ms':>11} {'p99 ms':>11} {'rows/s':>12} {'fit ms':>11}{legend}"
    for point in profile.measurement.points:
        median, p99, fit = (f"{value * 1e3:11.3f}" for value in (point.median_s, point.p99_s, line.seconds(point.rows)))
        bar = f"  {_bar(line, point.rows)}" if bars else ""
        yield f"{point.rows:>9,} {median} {p99} {point.rows / point.median_s:>12,.0f} {fit}{bar}"


def _bar(line: Line, rows: int) -> str:
    seconds = line.seconds(rows)
    filled = round(_BAR * line.overhead_s / seconds) if seconds else 0
    return "█" * filled + "░" * (_BAR - filled)


def _figures(profile: Profile) -> Iterator[str]:
    fit, line = profile.fit, profile.fit.line
    inside = fit.inside_overhead_s
    split = (
        "the answers have no Server-Timing that would split it"
        if inside is None
        else f"{(line.overhead_s - inside) * 1e3:.3f} ms outside: network, HTTP server, queue, client; "
        f"{inside * 1e3:.3f} ms inside the application"
    )
    yield f"overhead  {line.overhead_s * 1e3:.3f} ms a request ({split})"
    yield f"compute   {line.compute_s * 1e6:.3f} µs a row"
    if line.balanced_rows is None:
        yield "equal     at no size: rows cost nothing that can be seen"
    else:
        largest = profile.measurement.points[-1].rows
        paying = line.rows_reaching(PAYING_SHARE)
        beyond = ", beyond what was measured" if paying and paying > largest else ""
        yield f"equal     at {line.balanced_rows:,.1f} rows"
        yield f"{PAYING_SHARE:.0%}       of {line.top_rate:,.0f} rows/s from {paying:,} rows in one request{beyond}"
    yield f"fit       {fit.described(noisy=profile.worst_is_noise)}"
    yield from _remarks(profile)
    yield f"advice    {profile.advice}"


def _remarks(profile: Profile) -> Iterator[str]:
    found = profile.measurement
    if profile.shed:
        yield f"busy      refused {profile.shed} times as too many; those are in no figure, but others' load is"
    if len(found.releases) > 1:
        yield f"releases  {', '.join(found.releases)} answered: the label moved while measuring; measure again"
    if found.left_out:
        sizes = ", ".join(f"{rows:,}" for rows in found.left_out)
        yield f"left out  {sizes} rows: {next(iter(found.left_out.values()))}"
