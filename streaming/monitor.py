"""What a cluster asks a stream: whether it lives, whether it takes part, and its metrics."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from engine.errors import Unavailable
from streaming.metrics import StreamMetrics


class Monitor:
    """Answers ``/metrics``, ``/livez`` and ``/readyz`` in threads of its own.

    Attributes:
        port: where.
    """

    def __init__(self, host: str, port: int, metrics: StreamMetrics, trouble: Callable[[], str]) -> None:
        """Listen.

        Args:
            host: address.
            port: 0 picks a free one.
            metrics: what to show.
            trouble: tells why the stream does not take part; "" where it does.

        Raises:
            Unavailable: the port is taken.
        """

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/metrics":
                    self._tell(200, generate_latest(metrics.registry), CONTENT_TYPE_LATEST)
                elif self.path == "/livez":
                    self._tell(200, b'{"live":true}')
                elif self.path == "/readyz":
                    reason = trouble()
                    body = {"ready": False, "reason": reason} if reason else {"ready": True}
                    self._tell(503 if reason else 200, orjson.dumps(body))
                else:
                    self._tell(404, b'{"error":"path must be /metrics, /livez or /readyz"}')

            def _tell(self, code: int, body: bytes, kind: str = "application/json") -> None:
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Log nothing: a cluster asks every few seconds."""

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            message = f"{host}:{port} must be free to bind: {error.strerror}. Choose another --monitor-port"
            raise Unavailable(message) from error
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, name="monitor", daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
