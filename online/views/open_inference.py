"""The Open Inference Protocol V2: metadata and health."""

from __future__ import annotations

from importlib.metadata import version as installed_version

from flask import Flask, Response

from online.open_inference.metadata import model_metadata, server_metadata
from online.serving import Serving
from online.views.json_response import json_response
from online.views.places import served_at

_PLACES = {"": "/v2/models/<part:model>", "version": "/v2/models/<part:model>/versions/<part:version>"}


def mount(app: Flask, serving: Serving) -> None:
    """Add the routes."""
    holder, program_version = serving.holder, installed_version("foretable")

    def metadata(model: str, version: str | None = None) -> Response:
        served = served_at(holder, model, version)
        return json_response(model_metadata(served, sorted({each.release for each in holder.of(model)})))

    def model_ready(model: str, version: str | None = None) -> Response:
        return json_response({"name": served_at(holder, model, version).model, "ready": True})

    def server() -> Response:
        return json_response(server_metadata(program_version))

    def live() -> Response:
        return json_response({"live": True})

    def ready() -> Response:
        """Say so: the server listens only after every model has answered a row."""
        return json_response({"ready": True})

    for name, place in _PLACES.items():
        app.add_url_rule(place, f"v2 metadata {name}", metadata, methods=["GET"])
        app.add_url_rule(f"{place}/ready", f"v2 ready {name}", model_ready, methods=["GET"])
    for path, view in (("/v2", server), ("/v2/", server), ("/v2/health/live", live), ("/v2/health/ready", ready)):
        app.add_url_rule(path, path, view, methods=["GET"])
