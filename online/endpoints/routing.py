"""Which endpoint a path and method ask for, of which model, version and label."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from online.endpoints import infer, predict, single_row
from online.exchange import Exchange
from online.failure import told
from online.holder import Served
from online.reply import Reply
from online.serving import Serving

Endpoint = Callable[[Serving, Served, Exchange], Reply]
_PREDICT: dict[str, Endpoint] = {"GET": single_row.get, "HEAD": single_row.get, "POST": predict.post}
_INFER: dict[str, Endpoint] = {"POST": infer.post}
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

    def reply(self, serving: Serving, exchange: Exchange) -> Reply:
        """Ask the endpoint; errors are raised.

        Raises:
            NotFound: the model, version or label is not served here.
        """
        method = exchange.environ["REQUEST_METHOD"]
        endpoint = self.endpoints.get(method)
        if endpoint is None:
            methods = ", ".join(sorted([*self.endpoints, "OPTIONS"]))
            allow = ("Allow", methods)
            if method == "OPTIONS":
                return Reply(200, [allow, ("Content-Length", "0")])
            return told(405, f"method must be one of {methods}; got {method[:80]}", allow)
        served = serving.holder.get(self.model, version=self.version, label=self.label)
        exchange.model = served.model
        return endpoint(serving, served, exchange)


def route_of(path: str) -> Route | None:
    """Return what a path of WSGI asks for; None where that is no prediction."""
    for pattern, endpoints in _ROUTES:
        if found := pattern.fullmatch(path):
            model, version, label = (_decoded(part) for part in found.groups())
            return Route(model or "", version, label or None, endpoints)
    return None


def _decoded(part: str | None) -> str | None:
    """Return a part of a path as text: WSGI has a character a byte."""
    return part if part is None or part.isascii() else part.encode("latin-1").decode(errors="replace")
