"""All that one worker has counted, at one instant; workers of one server add theirs up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from online.admission import Admission
from online.http.traffic import Traffic
from online.metrics import Counts, Key, Metrics


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The counts of ``Metrics``, ``Admission`` and ``Traffic``; see there.

    Attributes:
        requests: by model, method, source and code.
        compute: by model and source.
        rows: by model and source.
        under_way: places taken.
        places: in all.
        sheds: requests that found none.
        connections: open.
        buffered_bytes: of bodies.
        lag_s: the event loop's; of several workers the longest.
    """

    requests: dict[Key, Counts]
    compute: dict[tuple[str, str], Counts]
    rows: dict[tuple[str, str], int]
    under_way: int
    places: int
    sheds: int
    connections: int
    buffered_bytes: int
    lag_s: float

    @classmethod
    def of(cls, metrics: Metrics, admission: Admission, traffic: Traffic) -> Snapshot:
        """Take one; from any thread."""
        return cls(
            requests={key: counts.copy() for key, counts in metrics.requests.copy().items()},
            compute={key: counts.copy() for key, counts in metrics.compute.copy().items()},
            rows=metrics.rows.copy(),
            under_way=admission.taken,
            places=admission.places,
            sheds=admission.refused,
            connections=traffic.connections,
            buffered_bytes=traffic.buffered_bytes,
            lag_s=traffic.lag_s,
        )

    @classmethod
    def total(cls, snapshots: Iterable[Snapshot]) -> Snapshot:
        """Add up those of several workers."""
        found = list(snapshots)
        requests: dict[Key, Counts] = {}
        compute: dict[tuple[str, str], Counts] = {}
        rows: dict[tuple[str, str], int] = {}
        for each in found:
            _add_counts(requests, each.requests)
            _add_counts(compute, each.compute)
            for place, count in each.rows.items():
                rows[place] = rows.get(place, 0) + count
        return cls(
            requests=requests,
            compute=compute,
            rows=rows,
            under_way=sum(each.under_way for each in found),
            places=sum(each.places for each in found),
            sheds=sum(each.sheds for each in found),
            connections=sum(each.connections for each in found),
            buffered_bytes=sum(each.buffered_bytes for each in found),
            lag_s=max((each.lag_s for each in found), default=0.0),
        )

    def to_json(self) -> bytes:
        """Return what ``from_json`` reads back."""
        plain = {name: list(value.items()) if isinstance(value, dict) else value for name, value in vars(self).items()}
        return orjson.dumps(plain)

    @classmethod
    def from_json(cls, data: bytes) -> Snapshot:
        """Read what ``to_json`` gave."""
        fields: dict[str, Any] = orjson.loads(data)
        for name in ("requests", "compute", "rows"):
            fields[name] = {tuple(key): value for key, value in fields[name]}
        return cls(**fields)


def _add_counts(total: dict[Any, Counts], more: dict[Any, Counts]) -> None:
    for key, counts in more.items():
        total[key] = [a + b for a, b in zip(total[key], counts, strict=True)] if key in total else counts
