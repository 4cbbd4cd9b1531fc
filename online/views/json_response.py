"""What most of Flask's views return."""

from __future__ import annotations

from flask import Response

from engine.wire.output_json import to_json

NO_STORE = ("Cache-Control", "no-store")


def json_response(value: object) -> Response:
    """Return a 200 with JSON that no cache keeps."""
    return Response(to_json(value), 200, [("Content-Type", "application/json"), NO_STORE])
