"""What a client is told once: where the server is, what to ask, and how long to try."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal
from urllib.parse import quote

import httpx

from engine.errors import BadSettings


@dataclass(frozen=True, eq=False)
class ClientSettings:
    """The settings of a client; times are in seconds.

    Args:
        url: of the server, e.g. ``http://127.0.0.1:8000``.
        model: the model's name.
        label: of the releases to ask; the server's first label if not given.
        version: the release to ask, instead of a label.
        token: the bearer token, where the server wants one.
        headers: sent with every request.
        verify: False, or an SSL context, or the path of the PEM file with the authorities to trust.
        timeout_s: how long one try may take.
        retries: how often a request is tried again.
        give_up_s: how long all tries of one request may take together, pauses too.
        concurrency: requests under way at once, and connections.
        batch_rows: rows in one request at most.
        deadline_s: for each request, how long from its start its answer is of use: the server is told, and answers
            later only with the definition's defaults. None sets no limit.
        body: the form of bodies. None takes Arrow for tables and columns, and JSON for rows, which may mix types.
        progress: whether ``predict`` shows a bar; None shows it on a terminal, when it takes longer than a second.
    """

    url: str
    model: str
    _: KW_ONLY
    label: str | None = None
    version: int | None = None
    token: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    verify: bool | str | ssl.SSLContext = True
    timeout_s: float = 30.0
    retries: int = 5
    give_up_s: float = 120.0
    # The server lets 16 requests read and infer at once, and more clients than one must find room. Two keep one
    # server busy; the others are for the replicas behind one address.
    concurrency: int = 8
    # Some 1 MB of JSON: well under the server's 8 MiB, and large enough that the cost of a request is lost in it.
    batch_rows: int = 10_000
    deadline_s: float | None = None
    body: Literal["json", "arrow"] | None = None
    progress: bool | None = None

    def __post_init__(self) -> None:
        """Check what would otherwise fail late, or not at all."""
        try:
            parsed = httpx.URL(self.url)
        except httpx.InvalidURL as error:
            message = f"url must be one of http:// or https://; got {self.url!r}: {error}"
            raise BadSettings(message) from error
        if parsed.scheme not in {"http", "https"} or not parsed.host or parsed.query or parsed.fragment:
            message = f"url must be like http://127.0.0.1:8000, with no query; got {self.url!r}"
            raise BadSettings(message)
        if not self.model or (self.label is not None and self.version is not None):
            message = f"model must be named, by a label or a version or neither; got {self.model!r} and both"
            raise BadSettings(message)
        for name in ("timeout_s", "give_up_s", "concurrency", "batch_rows", "deadline_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                message = f"{name} must be above 0; got {value!r}"
                raise BadSettings(message)
        if self.retries < 0:
            message = f"retries must be 0 or more; got {self.retries!r}"
            raise BadSettings(message)
        if self.body not in {None, "json", "arrow"}:
            message = f"body must be 'json', 'arrow' or None; got {self.body!r}"
            raise BadSettings(message)

    @property
    def place(self) -> str:
        """The path of the model at its label or version, e.g. ``/v1/models/flights/labels/canary``."""
        path = f"/v1/models/{quote(self.model, safe='')}"
        if self.label is not None:
            return f"{path}/labels/{quote(self.label, safe='')}"
        return path if self.version is None else f"{path}/versions/{self.version}"

    def place_url(self, suffix: str) -> str:
        """Return the URL of what stands at the place; ``suffix`` is e.g. ``:predict``."""
        return self.url.rstrip("/") + self.place + suffix
