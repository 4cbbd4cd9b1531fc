"""A profile: what was measured of a model, the line through it, and what follows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import quantiles
from typing import Any

from online.profile.advice import PAYING_SHARE, Situation, advise
from online.profile.fit import Fit
from online.profile.measurement import Measurement
from online.profile.profiled_model import ProfiledModel


@dataclass(frozen=True)
class Profile:
    """All that is known of a model's speed.

    Attributes:
        url: where the model was asked.
        form: of the bodies, ``json`` or ``arrow``.
        model: what was asked.
        measurement: how long it took.
        fit: the line through the medians.
        shed: how many requests were refused as too many, and are in no figure.
    """

    url: str
    form: str
    model: ProfiledModel
    measurement: Measurement
    fit: Fit
    shed: int

    @classmethod
    def of(cls, url: str, form: str, model: ProfiledModel, measurement: Measurement, *, shed: int) -> Profile:
        """Fit what was measured."""
        points = measurement.points
        fit = Fit.of(
            [point.rows for point in points],
            [point.median_s for point in points],
            [point.inside_median_s for point in points],
        )
        return cls(url, form, model, measurement, fit, shed)

    @property
    def worst_is_noise(self) -> bool:
        """Whether the requests of the size that lies furthest off the line vary by as much."""
        rows, _ = self.fit.worst
        (point,) = (point for point in self.measurement.points if point.rows == rows)
        low, _, high = quantiles(point.seconds, n=4)
        return low <= self.fit.line.seconds(rows) <= high

    @property
    def sources(self) -> Counter[str]:
        """Rows by where their answers came from."""
        return self.measurement.sources

    @property
    def advice(self) -> str:
        """What to optimise, in one sentence."""
        situation = Situation(
            form=self.form,
            source=self.sources.most_common(1)[0][0],
            finite=self.model.finite,
            largest_rows=self.measurement.points[-1].rows,
            one_row_s=self.fit.one_row_s or self.fit.line.seconds(1),
        )
        return advise(self.fit.line, situation)

    def to_json(self) -> dict[str, Any]:
        """Return all figures, times in seconds."""
        fit, line = self.fit, self.fit.line
        return {
            "url": self.url,
            "form": self.form,
            "model": self.model.name,
            "label": self.model.label,
            "releases": [int(text) for text in self.measurement.releases if text.isdigit()],
            "variant": self.model.variant,
            "has_table": self.model.has_table,
            "rows_by_source": dict(self.sources),
            "requests_shed": self.shed,
            "left_out": {str(rows): why for rows, why in self.measurement.left_out.items()},
            "sizes": [
                {
                    "rows": point.rows,
                    "requests": len(point.seconds),
                    "median_s": point.median_s,
                    "p99_s": point.p99_s,
                    "inside_median_s": point.inside_median_s,
                    "rows_per_s": point.rows / point.median_s,
                    "fit_s": line.seconds(point.rows),
                }
                for point in self.measurement.points
            ],
            "overhead_s": line.overhead_s,
            "overhead_inside_s": fit.inside_overhead_s,
            "compute_s_per_row": line.compute_s,
            "balanced_rows": line.balanced_rows,
            "top_rows_per_s": line.top_rate,
            "rows_for_90_percent": line.rows_reaching(PAYING_SHARE),
            "worst_relative_error": fit.worst[1],
            "fit_is_good": fit.is_good,
            "one_row_apart": fit.one_row_s is not None,
            "advice": self.advice,
        }
