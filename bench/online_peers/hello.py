"""The floor: granian with a WSGI application that does nothing. ``python -m bench.online_peers.hello PORT``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

_BODY = b"Hello, World!"
_HEADERS = [("Content-Type", "text/plain"), ("Content-Length", str(len(_BODY)))]


def app(_environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Say hello."""
    start_response("200 OK", _HEADERS)
    return [_BODY]


def main(port: int) -> None:
    """Serve until SIGTERM, with granian's defaults: one worker, and the threads that it thinks best."""
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    Granian(
        "bench.online_peers.hello:app",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        log_level=LogLevels.warning,
        websockets=False,
    ).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]))
