"""A WSGI application, called with a request of ours."""

from __future__ import annotations

import sys
from io import BytesIO
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Response

from online.exchange import Exchange
from online.http.reply import Reply, header

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# Where the environment carries the exchange.
KEY = "foretable.exchange"


def call(application: WSGIApplication, exchange: Exchange) -> Reply:
    """Return what the application answers."""
    response = Response.from_app(application, _environ(exchange), buffered=True)
    headers = b"".join(header(name, value) for name, value in response.headers.items())
    return Reply(response.status_code, headers, response.get_data())


def _environ(exchange: Exchange) -> dict[str, Any]:
    """Return the environment of PEP 3333, which has a character a byte."""
    request = exchange.request
    environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path.encode().decode("latin-1"),
        "QUERY_STRING": request.query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": request.client,
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        KEY: exchange,
    }
    for name, value in request.headers.items():
        text = name.decode("latin-1").upper().replace("-", "_")
        if text == "CONTENT_TYPE":
            environ[text] = value.decode("latin-1")
        elif text != "CONTENT_LENGTH":
            environ[f"HTTP_{text}"] = value.decode("latin-1")
    return environ
