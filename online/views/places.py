"""What is served where a path of Flask's says, and whose request it is counted as."""

from __future__ import annotations

from flask import request

from online.exchange import KEY
from online.holder import Holder, Served


def served_at(holder: Holder, model: str, version: str | None, label: str | None = None) -> Served:
    """Return what is served of a model, at a version or label.

    Raises:
        NotFound: it is not served here.
    """
    served = holder.get(model, version=version, label=label)
    request.environ[KEY].model = served.model
    return served
