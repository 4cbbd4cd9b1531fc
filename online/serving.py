"""What every view works with."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

from online.admission import Admission
from online.config import ServeConfig
from online.exchange import Exchange, exchange_headers
from online.http.reply import Reply
from online.http.traffic import Traffic
from online.metrics import Metrics
from online.request_log import RequestLog
from online.served import ServedHolder
from online.snapshot import Snapshot
from online.team import Team


@dataclass(frozen=True, kw_only=True)
class Serving:
    """One server's state, shared by all its requests.

    Attributes:
        holder: the releases served.
        config: the settings.
        metrics: what requests are counted in.
        admission: of requests that need more than a lookup.
        log: of requests.
        traffic: of the listener.
        team: the workers of this server, where there are several.
    """

    holder: ServedHolder
    config: ServeConfig
    metrics: Metrics
    admission: Admission
    log: RequestLog
    traffic: Traffic
    team: Team | None = None

    def snapshot(self) -> Snapshot:
        """Return what this server has counted so far; of several workers all."""
        return self.own_snapshot() if self.team is None else self.team.total()

    def own_snapshot(self) -> Snapshot:
        """Return what this worker has counted so far."""
        return Snapshot.of(self.metrics, self.admission, self.traffic)

    def finish(self, exchange: Exchange, reply: Reply) -> Reply:
        """Count and log a request that is answered; return the reply with the headers that every answer carries.

        On the event loop's thread: counts have one writer.
        """
        seconds = perf_counter() - exchange.started
        code, headers, body = reply
        key = exchange.model, exchange.method, exchange.source, code
        self.metrics.observe(key, seconds)
        if exchange.compute_s is not None:
            self.metrics.observe_compute((exchange.model, exchange.source), exchange.compute_s)
            for source, rows in exchange.rows.items():
                self.metrics.count_rows(exchange.model, source, rows)
        if code >= self.log.least_code:
            self.log.write(exchange.request, key, exchange.request_id, seconds)
        return Reply(code, headers + exchange_headers(exchange.request_id, seconds), body)
