"""Where in a path a model, its version and its label stand, and what is served there."""

from __future__ import annotations

from flask import g

from online.holder import Holder, Served

# A model as it is, at a version, and at a label, as in TensorFlow Serving's REST API.
PLACES = {
    name: f"/v1/models/<part:model>{place}"
    for name, place in (("", ""), ("version", "/versions/<part:version>"), ("label", "/labels/<part:label>"))
}


def served_at(holder: Holder, model: str, version: str | None, label: str | None) -> Served:
    """Return what is served of a model, and count the request as the model's.

    Raises:
        NotFound: it is not served here, or not at this version or label.
    """
    served = holder.get(model, version=version, label=label)
    g.model = model
    return served
