"""What operators and people ask for: liveness, readiness, metrics, and the page."""

from __future__ import annotations

import secrets
from importlib.metadata import version

from flask import Flask, Response, render_template
from prometheus_client import CONTENT_TYPE_LATEST

from online import description
from online.exposition import exposition
from online.openapi.document import document
from online.serving import Serving
from online.views.json_response import NO_STORE, json_response


def mount(app: Flask, serving: Serving) -> None:
    """Add the routes."""
    holder, program_version = serving.holder, version("foretable")

    def livez() -> Response:
        """Say that requests are answered at all."""
        return json_response({"live": True})

    def readyz() -> Response:
        """Say what is served: the server listens only after every model has answered a row."""
        return json_response(description.readiness(holder))

    def metrics() -> Response:
        body = exposition(serving)
        return Response(body, 200, [("Content-Type", CONTENT_TYPE_LATEST), NO_STORE])

    def openapi() -> Response:
        """Return the OpenAPI document."""
        return json_response(document(holder, version=program_version, max_rows=serving.config.max_rows))

    def page() -> Response:
        """Return the page that lets a person try the models."""
        nonce = secrets.token_urlsafe(16)
        text = render_template("page.html", served=[holder.of(model) for model in holder.models], nonce=nonce)
        policy = f"default-src 'none'; connect-src 'self'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'"
        headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Security-Policy", policy), NO_STORE]
        return Response(text, 200, headers)

    for path, view in (
        ("/livez", livez),
        ("/readyz", readyz),
        ("/metrics", metrics),
        ("/openapi.json", openapi),
        ("/", page),
    ):
        app.add_url_rule(path, path, view, methods=["GET"])
