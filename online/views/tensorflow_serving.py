"""TensorFlow Serving's model status and metadata."""

from __future__ import annotations

from flask import Flask, Response

from online import description
from online.serving import Serving
from online.views.json_response import json_response
from online.views.places import served_at

_PLACES = {
    name: f"/v1/models/<part:model>{place}"
    for name, place in (("", ""), ("version", "/versions/<part:version>"), ("label", "/labels/<part:label>"))
}


def mount(app: Flask, serving: Serving) -> None:
    """Add the routes."""

    def status(model: str, version: str | None = None, label: str | None = None) -> Response:
        served = served_at(serving.holder, model, version, label)
        anywhere = version is None and label is None
        return json_response(description.status(serving.holder.of(model) if anywhere else [served]))

    def metadata(model: str, version: str | None = None, label: str | None = None) -> Response:
        return json_response(description.metadata(served_at(serving.holder, model, version, label)))

    for name, place in _PLACES.items():
        app.add_url_rule(place, f"status {name}", status, methods=["GET"])
        app.add_url_rule(f"{place}/metadata", f"metadata {name}", metadata, methods=["GET"])
