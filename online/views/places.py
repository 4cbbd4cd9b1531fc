"""Whose request Flask answers, and what is served where its path says."""

from __future__ import annotations

from flask import request

from online.exchange import Exchange
from online.served import Served, ServedHolder
from online.views.wsgi import KEY


def current_exchange() -> Exchange:
    """Return the exchange of the request that Flask answers now."""
    exchange: Exchange = request.environ[KEY]
    return exchange


def served_at(holder: ServedHolder, model: str, version: str | None, label: str | None = None) -> Served:
    """Return what is served of a model, at a version or label.

    Raises:
        NotFound: it is not served here.
    """
    served = holder.get(model, version=version, label=label)
    current_exchange().model = served.model
    return served
