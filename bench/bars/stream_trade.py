"""What latency costs in rate: both profiles of both clients in open loops at shares of what each can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from bench.harness import machine
from bench.load.topic_open_loop import open_loop
from bench.online_models import Served
from bench.report import fill
from bench.stream_process import CLIENTS, LATENCY, THROUGHPUT, check_sources, records_a_transaction
from bench.stream_sides import Backlog, Ours
from bench.trade_picture import draw

# At more, sender, reader and broker leave a machine of two cores too little for the stream.
SHARES = (0.1, 0.25, 0.5, 0.75)
DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, PICTURE = DOCS / "streaming.md", DOCS / "stream-trade.png"
BEGIN, END = "<!-- trade:begin -->", "<!-- trade:end -->"
_WARM_S = 1.5


@dataclass(frozen=True, kw_only=True)
class Point:
    """One open loop.

    Attributes:
        client, profile: of the stream.
        share: of what it commits where all requests wait for it.
        rate: requests a second, that share of it.
        p50_s, p99_s: from when a request was due to when its answer was seen.
        batch: requests a transaction.
        unanswered: requests that had no answer in time.
    """

    client: str
    profile: str
    share: float
    rate: float
    p50_s: float
    p99_s: float
    batch: float
    unanswered: int


def measure(served: Served, backlog: Backlog, *, seconds: float) -> list[Point]:
    """Measure every profile of every client, each in a process of its own, from few requests to many."""
    values = [orjson.dumps(row) for row in served.rows]
    points = []
    for client in CLIENTS:
        for profile in (LATENCY, THROUGHPUT):
            ours = Ours(served.registry, client, profile=profile)
            capacity, _ = ours.measure(backlog, seconds)
            points += _points(ours, backlog, values, capacity=capacity, seconds=seconds)
    return points


def _points(ours: Ours, backlog: Backlog, values: Sequence[bytes], *, capacity: float, seconds: float) -> list[Point]:
    points = []
    with backlog.broker.topic("requests") as requests, backlog.broker.job(requests) as job, ours.on(job) as stream:
        for share in SHARES:
            before = stream.metrics()
            loop = open_loop(job, values, rate=share * capacity, warm_s=_WARM_S, seconds=seconds)
            after = stream.metrics()
            check_sources(after)
            points.append(
                Point(
                    client=ours.client,
                    profile=ours.profile,
                    share=share,
                    rate=share * capacity,
                    p50_s=loop.percentile_s(0.5),
                    p99_s=loop.percentile_s(0.99),
                    batch=records_a_transaction(before, after),
                    unanswered=loop.unanswered,
                )
            )
            print(f"  {ours.client}, {ours.profile}: at {share * capacity:,.0f}/s {loop.described()}", flush=True)
    return points


def section(points: Sequence[Point]) -> str:
    """Return Markdown: the picture, a table of the points, and where they were measured."""
    lines = [
        f"![Latency by rate, both profiles and clients]({PICTURE.name})",
        "",
        "| Client | Profile | Requests/s | Of its capacity | p50 | p99 | Requests a transaction |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {point.client} | {point.profile} | {point.rate:,.0f} | {point.share * 100:.0f} % | {_ms(point.p50_s)} "
        f"| {_ms(point.p99_s)} | {point.batch:,.0f} |"
        for point in points
    ]
    return "\n".join([*lines, "", f"`make bench-stream` on: {machine()}."])


def publish(points: Sequence[Point], *, page: Path = PAGE, picture: Path = PICTURE) -> None:
    """Write the section into the page, between its markers, and the picture beside it."""
    text = fill(page.read_text(encoding="utf-8"), section(points), page=page.name, markers=(BEGIN, END))
    picture.write_bytes(draw(points))
    page.write_text(text, encoding="utf-8")


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.{0 if seconds >= 0.1 else 1}f} ms"
