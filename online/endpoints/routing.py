"""Which endpoint a path and method ask for, of which model, version and label."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from online.endpoints import infer, predict, single_row
from online.endpoints.row_work import RowWork
from online.endpoints.work import Work
from online.exchange import Exchange
from online.failure import told
from online.http.reply import Reply, header
from online.responses import content_length
from online.served import Served
from online.serving import Serving

Endpoint = Callable[[Serving, Served, Exchange], Reply | RowWork | Work]
_PREDICT: dict[str, Endpoint] = {"GET": single_row.get, "HEAD": single_row.get, "POST": predict.post}
_INFER: dict[str, Endpoint] = {"POST": infer.post}
# Of paths: more than a server has, and few enough that clients cannot fill the memory with others.
_REMEMBERED = 256
# A name is a segment of the path up to the colon of ``:predict``.
_NAME = "[^/:]+"
_ROUTES = (
    (re.compile(rf"/v1/models/({_NAME})(?:/versions/({_NAME})|/labels/({_NAME}))?:predict"), _PREDICT),
    (re.compile(rf"/v2/models/({_NAME})(?:/versions/({_NAME}))?()/infer"), _INFER),
)


@dataclass(frozen=True)
class Route:
    """What a path asks for.

    Attributes:
        model: its name, as the path has it.
        version: a release's number, or None.
        label: a label, or None.
        endpoints: by method.
    """

    model: str
    version: str | None
    label: str | None
    endpoints: dict[str, Endpoint]

    def begin(self, serving: Serving, exchange: Exchange) -> Reply | RowWork | Work:
        """Begin to answer a request; return the reply, or the work that is left.

        Raises:
            NotFound: the model, version or label is not served here.
            InvalidInput: the request is at fault.
        """
        method = exchange.request.method
        endpoint = self.endpoints.get(method)
        if endpoint is None:
            return self._refused(method)
        served = serving.holder.get(self.model, version=self.version, label=self.label)
        exchange.model = served.model
        return endpoint(serving, served, exchange)

    def _refused(self, method: str) -> Reply:
        methods = ", ".join(sorted([*self.endpoints, "OPTIONS"]))
        allow = header("Allow", methods)
        if method == "OPTIONS":
            return Reply(200, allow + content_length(b""))
        return told(405, f"method must be one of {methods}; got {method[:80]}", allow)


@lru_cache(_REMEMBERED)
def route_of(path: str) -> Route | None:
    """Return what a path asks for; None where that is no prediction."""
    for pattern, endpoints in _ROUTES:
        if found := pattern.fullmatch(path):
            model, version, label = found.groups()
            return Route(model, version, label or None, endpoints)
    return None
