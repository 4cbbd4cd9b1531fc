"""What every view works with."""

from __future__ import annotations

from dataclasses import dataclass

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
    """

    holder: Holder
    config: ServeConfig
    metrics: Metrics
