"""The application, put together: predictions by the front, descriptions by Flask."""

from __future__ import annotations

from online.admission import Admission
from online.config import ServeConfig
from online.front import Front
from online.http.traffic import Traffic
from online.metrics import Metrics
from online.request_log import RequestLog
from online.served import ServedHolder
from online.serving import Serving
from online.team import Team
from online.token import Tokens
from online.views.flask_app import create_flask_app


def create_app(
    holder: ServedHolder,
    config: ServeConfig,
    *,
    tokens: Tokens | None = None,
    traffic: Traffic | None = None,
    team: Team | None = None,
) -> Front:
    """Return the application over what a holder holds."""
    serving = Serving(
        holder=holder,
        config=config,
        metrics=Metrics(),
        admission=Admission(config.max_concurrent),
        log=RequestLog(config.log_requests),
        traffic=traffic or Traffic(),
        team=team,
    )
    return Front(serving, create_flask_app(serving), tokens)
