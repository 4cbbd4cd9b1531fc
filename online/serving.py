"""What every view works with."""

from __future__ import annotations

from dataclasses import dataclass

from online.admission import Admission
from online.config import ServeConfig
from online.holder import Holder
from online.metrics import Metrics


@dataclass(frozen=True, kw_only=True)
class Serving:
    """One server's state, shared by all its requests.

    Attributes:
        holder: the releases served.
        config: the settings.
        metrics: what requests are counted in.
        admission: of requests that need more than a lookup.
    """

    holder: Holder
    config: ServeConfig
    metrics: Metrics
    admission: Admission
