"""What every view works with."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

from online.admission import Admission
from online.config import ServeConfig
from online.exchange import Exchange, exchange_headers
from online.holder import Holder
from online.metrics import Metrics
from online.request_log import RequestLog


@dataclass(frozen=True, kw_only=True)
class Serving:
    """One server's state, shared by all its requests.

    Attributes:
        holder: the releases served.
        config: the settings.
        metrics: what requests are counted in.
        admission: of requests that need more than a lookup.
        log: of requests.
    """

    holder: Holder
    config: ServeConfig
    metrics: Metrics
    admission: Admission
    log: RequestLog

    def finish(self, exchange: Exchange, code: int) -> tuple[tuple[str, str], ...]:
        """Count and log a request that is answered with a status code; return the headers that every answer carries."""
        seconds = perf_counter() - exchange.started
        key = exchange.model, exchange.method, exchange.source, code
        self.metrics.observe(key, seconds)
        self.log.write(exchange.environ, key, exchange.request_id, seconds)
        return exchange_headers(exchange.request_id, seconds)
