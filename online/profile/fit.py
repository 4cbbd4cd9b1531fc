"""The line that a served model's times lie on: seconds = overhead + rows x compute."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import numpy.typing as npt

# Where a point is further off the line, its figures would mislead more than help. Noise stays well below with medians.
_WORST_GOOD_ERROR = 0.25
# With one row left aside there must be as many batches as can disagree with a line.
_LEAST_BATCHES = 3


@dataclass(frozen=True)
class Line:
    """What a request costs, and what each of its rows adds. Neither is below 0.

    The time that a client sees is request overhead plus n times computation: the first is paid once a request, whatever
    it asks (connection, HTTP, routing, headers), the second for every row (decoding, lookup or inference, printing).
    It is the model of fixed and marginal costs that R. W. Hockney gave for vectors ("r_inf and n_1/2", 1983):
    ``1 / compute_s`` is r_inf, the rate that no batch exceeds, and ``balanced_rows`` is n_1/2, which gets half of it.
    """

    overhead_s: float
    compute_s: float

    def seconds(self, rows: int) -> float:
        """Return the time of a request."""
        return self.overhead_s + rows * self.compute_s

    @property
    def top_rate(self) -> float | None:
        """Rows a second that large requests come close to; None where rows cost nothing that can be seen."""
        return 1 / self.compute_s if self.compute_s else None

    @property
    def balanced_rows(self) -> float | None:
        """The size of a request that is half overhead, half computation; None where rows cost nothing."""
        return self.overhead_s / self.compute_s if self.compute_s else None

    def rows_reaching(self, share: float) -> int | None:
        """Return the smallest request that reaches a share (below 1) of ``top_rate``; None where there is none.

        From n / (overhead + n x compute) >= share / compute follows n >= share / (1 - share) x overhead / compute.
        """
        if not self.compute_s:
            return None
        # 0.9 / (1 - 0.9) is a little more than 9 in binary: that must not cost a row.
        return max(1, ceil(share / (1 - share) * self.overhead_s / self.compute_s * (1 - 1e-12)))


def fit_line(rows: Sequence[int], seconds: Sequence[float]) -> Line:
    """Fit a line to the median times of requests: least squares of the relative errors, both coefficients >= 0.

    Relative, since times span decades: the largest requests would else decide alone, and the overhead be lost in their
    noise.

    Args:
        rows: sizes, at least two distinct.
        seconds: the median of each, above 0.
    """
    n, t = np.asarray(rows, np.float64), np.asarray(seconds, np.float64)
    # Dividing by t makes every target 1.
    design = np.stack([1 / t, n / t], axis=1)
    both = np.linalg.lstsq(design, np.ones(len(t)), rcond=None)[0]
    if both.min() >= 0:
        return Line(float(both[0]), float(both[1]))
    # The sum of squares is convex: where the free optimum is outside, the best allowed one is on an edge.
    edges = [Line(_alone(design[:, 0]), 0.0), Line(0.0, _alone(design[:, 1]))]
    return min(edges, key=lambda line: sum(error**2 for _, error in relative_errors(line, rows, seconds)))


def _alone(column: npt.NDArray[np.float64]) -> float:
    return float(column.sum() / (column @ column))


def relative_errors(line: Line, rows: Iterable[int], seconds: Iterable[float]) -> list[tuple[int, float]]:
    """Return (size, how much more than the line says was measured, as a share of what was measured)."""
    return [(n, (t - line.seconds(n)) / t) for n, t in zip(rows, seconds, strict=True)]


@dataclass(frozen=True)
class Fit:
    """A line through measured medians.

    Attributes:
        line: of what the client saw.
        inside: of what the server's application took; None where it did not say.
        errors: of each size, relative to what was measured; above 0 where it took longer than the line says.
        one_row_s: the median of a request of one row where that is not on the line and not in ``errors``: a server may
            answer it on a shorter path than it has for batches.
    """

    line: Line
    inside: Line | None
    errors: tuple[tuple[int, float], ...]
    one_row_s: float | None = None

    @classmethod
    def of(cls, rows: Sequence[int], seconds: Sequence[float], inside: Sequence[float | None]) -> Fit:
        """Fit medians of growing sizes, at least two. One row is left aside where only it spoils the line."""
        whole = cls._through(rows, seconds, inside)
        if whole.is_good or rows[0] != 1 or len(rows) < _LEAST_BATCHES + 1:
            return whole
        batches = cls._through(rows[1:], seconds[1:], inside[1:])
        return replace(batches, one_row_s=seconds[0]) if batches.is_good else whole

    @classmethod
    def _through(cls, rows: Sequence[int], seconds: Sequence[float], inside: Sequence[float | None]) -> Fit:
        line = fit_line(rows, seconds)
        # Server-Timing has microseconds: less than one of them reads as none.
        told = [max(value, 1e-6) for value in inside if value is not None]
        return cls(
            line,
            fit_line(rows, told) if len(told) == len(rows) else None,
            tuple(relative_errors(line, rows, seconds)),
        )

    @property
    def inside_overhead_s(self) -> float | None:
        """The overhead that the application makes; the rest is network, HTTP server, queue and client."""
        return min(self.inside.overhead_s, self.line.overhead_s) if self.inside else None

    @property
    def worst(self) -> tuple[int, float]:
        """The size that lies furthest off the line, and its relative error."""
        return max(self.errors, key=lambda item: abs(item[1]))

    @property
    def is_good(self) -> bool:
        """Whether every size lies near the line."""
        return abs(self.worst[1]) <= _WORST_GOOD_ERROR

    def described(self, *, noisy: bool) -> str:
        """Return how well the line fits, for people; ``noisy`` says that the worst size's own times vary by as much."""
        rows, error = self.worst
        if self.is_good:
            text = f"within {abs(error):.0%} of every median"
            if self.one_row_s is None:
                return text
            return f"{text} but that of one row, which takes a path of its own: {self.one_row_s * 1e3:.3f} ms"
        if noisy:
            shape = "but its times vary by as much: measure longer (--seconds), with nothing else running"
        elif rows in {self.errors[0][0], self.errors[-1][0]}:
            shape = "rows do not cost the same in every batch: trust the medians"
        else:
            shape = "the times have a step or a bend, as where a model computes a few fixed sizes: trust the medians"
        takes, than = "row takes" if rows == 1 else "rows take", "more" if error > 0 else "less"
        return f"bad: {rows:,} {takes} {abs(error):.0%} {than} than the line says; {shape}"
