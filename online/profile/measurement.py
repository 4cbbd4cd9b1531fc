"""What was measured: the time of requests, by how many rows each had."""

from __future__ import annotations

import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil

from engine.errors import BadSettings, InvalidInput
from online.profile.connection import TOO_LARGE, Reply

# Two sizes fit any line; the third is what can disagree.
LEAST_SIZES = 3
# A median of fewer is at the mercy of one hiccup.
_LEAST_ROUNDS = 5
# One row takes a hundredth of what 10,000 take: asked as often it would hardly be measured, asked for an equal share of
# the time it would fill the memory with figures.
_MOST_REPEATS = 10


@dataclass
class Point:
    """The requests of one size.

    Attributes:
        rows: in each request.
        seconds: of each, as the client saw it.
        inside: seconds of each in the server's application; empty where answers do not say.
    """

    rows: int
    seconds: list[float] = field(default_factory=list)
    inside: list[float] = field(default_factory=list)

    @property
    def median_s(self) -> float:
        """The median of what the client saw."""
        return statistics.median(self.seconds)

    @property
    def p99_s(self) -> float:
        """The 99th percentile of it, by nearest rank: of fewer than 100 requests the slowest."""
        return sorted(self.seconds)[ceil(len(self.seconds) * 0.99) - 1]

    @property
    def inside_median_s(self) -> float | None:
        """The median of the application's part, or None where some answer did not say."""
        return statistics.median(self.inside) if len(self.inside) == len(self.seconds) else None


@dataclass
class Measurement:
    """All that was measured.

    Attributes:
        points: by growing size.
        sources: rows by where their answers came from.
        releases: of the answers, in order of their first.
        left_out: sizes that were not measured, and why.
    """

    points: list[Point] = field(default_factory=list)
    sources: Counter[str] = field(default_factory=Counter)
    releases: list[str] = field(default_factory=list)
    left_out: dict[int, str] = field(default_factory=dict)

    def add(self, point: Point, reply: Reply) -> None:
        """Count one answer."""
        point.seconds.append(reply.seconds)
        if reply.inside_s is not None:
            point.inside.append(reply.inside_s)
        self.sources.update(rows_by_source(reply.source, point.rows))
        if reply.release not in self.releases:
            self.releases.append(reply.release)


def measure(
    ask: Callable[[bytes], Reply],
    bodies_of: Callable[[int], list[bytes]],
    sizes: Iterable[int],
    *,
    seconds: float,
    progress: Callable[[float], object] = lambda _: None,
) -> Measurement:
    """Measure requests of each size, one at a time: in rounds, each of which asks every size, in random order.

    So whatever else the machine does meets all sizes alike. Sizes that are quick are asked several times a round.

    Args:
        ask: sends one body.
        bodies_of: makes the bodies of a size; none where they would be too large.
        sizes: rows in a request.
        seconds: how long to measure, after each size was asked twice to warm up.
        progress: called with the seconds that have passed since its last call.

    Raises:
        BadSettings: fewer than three sizes can be measured.
        InvalidInput: the server answers only some of the rows.
    """
    found = Measurement()
    bodies, warm_s = _warm_up(found, ask, bodies_of, sorted(sizes), seconds)
    points = {size: Point(size) for size in bodies}
    found.points = list(points.values())
    order = round_of(warm_s)
    last = time.perf_counter()
    ends, rounds = last + seconds, 0
    while rounds < _LEAST_ROUNDS or last < ends:
        random.shuffle(order)
        for size in order:
            point = points[size]
            found.add(point, ask(bodies[size][len(point.seconds) % len(bodies[size])]))
        rounds += 1
        now = time.perf_counter()
        progress(now - last)
        last = now
    return found


def _warm_up(
    found: Measurement,
    ask: Callable[[bytes], Reply],
    bodies_of: Callable[[int], list[bytes]],
    sizes: list[int],
    seconds: float,
) -> tuple[dict[int, list[bytes]], dict[int, float]]:
    """Return bodies and seconds of the sizes that the server takes, and of which enough fit into the time."""
    kept: dict[int, list[bytes]] = {}
    warm_s: dict[int, float] = {}
    for place, size in enumerate(sizes):
        bodies = bodies_of(size)
        # The first request of a size may have to build what the others find.
        replies = [ask(body) for body in bodies[:1] * 2]
        quickest_s = min((reply.seconds for reply in replies), default=0.0)
        if not replies or any(reply.status == TOO_LARGE for reply in replies):
            why = "the server takes no body of so many rows" if replies else "the body would be too large"
        elif len(kept) >= LEAST_SIZES and (sum(warm_s.values()) + quickest_s) * _LEAST_ROUNDS > seconds:
            why = f"{_LEAST_ROUNDS} rounds would take longer than --seconds"
        else:
            _check_answered(replies[0], size)
            kept[size], warm_s[size] = bodies, quickest_s
            continue
        found.left_out = dict.fromkeys(sizes[place:], why)
        break
    if len(kept) < LEAST_SIZES:
        message = (
            f"--batch-sizes must have {LEAST_SIZES} sizes or more that can be measured; got {len(kept)}: "
            f"{found.left_out}. Give smaller ones"
        )
        raise BadSettings(message)
    return kept, warm_s


def round_of(warm_s: Mapping[int, float]) -> list[int]:
    """Return the sizes that one round asks: each once, quick ones up to as often as fits into an equal share of time.

    Args:
        warm_s: seconds of a request by its size.
    """
    share_s = sum(warm_s.values()) / len(warm_s)
    return [size for size, taken_s in warm_s.items() for _ in range(_repeats(share_s, taken_s))]


def _repeats(share_s: float, taken_s: float) -> int:
    return min(_MOST_REPEATS, max(1, int(share_s / taken_s))) if taken_s > 0 else _MOST_REPEATS


def _check_answered(reply: Reply, rows: int) -> None:
    answered = sum(rows_by_source(reply.source, rows).values())
    if answered != rows:
        message = f"a request of {rows} random rows must have {rows} answers; got {answered} ({reply.source!r})"
        raise InvalidInput(message)


def rows_by_source(header: str, rows: int) -> dict[str, int]:
    """Read a ``Foretable-Source``: one word for all rows, or ``table=3, model=1``."""
    pairs = [part.strip().partition("=") for part in header.split(",") if part.strip()]
    return {word: int(count) if equals and count.isdigit() else rows for word, equals, count in pairs}
