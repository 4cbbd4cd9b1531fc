"""The way that a first model goes online: Flask, ``json``, a loop over rows. On granian, so that the server is ours.

``python -m bench.online_peers.flask_net PORT``.
"""

from __future__ import annotations

import json
import sys

from flask import Flask, Response, request

from bench.online_peers.row_net import RowNet


def create_app() -> Flask:
    """Return the application, which has loaded the net."""
    net, app = RowNet(), Flask(__name__)

    @app.get("/readyz")
    def ready() -> str:
        return "ready"

    @app.post("/predict")
    def predict() -> Response:
        rows = json.loads(request.get_data())["instances"]
        return Response(
            json.dumps({"predictions": [net.answer(row) for row in rows]}), 200, mimetype="application/json"
        )

    return app


def main(port: int) -> None:
    """Serve until SIGTERM; one thread, because a ``RowNet`` bears no more."""
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    Granian(
        "bench.online_peers.flask_net:create_app",
        factory=True,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        blocking_threads=1,
        log_level=LogLevels.warning,
        websockets=False,
    ).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]))
