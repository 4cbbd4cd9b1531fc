"""A server in a process of its own, such as a real ``foretable serve``, and what it costs."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from bench.child_process import ChildProcess
from engine.errors import Unavailable

_WAIT_S = 60.0
_POLL_S = 0.002


class HttpProcess(ChildProcess):
    """A program that serves HTTP on this machine while the context lasts.

    Attributes:
        port: on 127.0.0.1.
        ready_s: from the start of the process to the first 200 of its probe.
    """

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        *,
        probe: bytes = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Keep what to start, the port that it will listen on, and the request that it answers once it is ready."""
        super().__init__(command, environment=environment)
        self.port, self.ready_s = port, 0.0
        self._probe = probe

    def __enter__(self) -> Self:
        """Start it and wait until it is ready.

        Raises:
            Unavailable: it ended, or was not ready within a minute.
        """
        started = time.perf_counter()
        super().__enter__()
        while not _is_ready(self.port, self._probe):
            if self._process.poll() is not None or time.perf_counter() - started > _WAIT_S:
                error = self.failure(f"be ready within {_WAIT_S:.0f} s")
                self.__exit__(None, None, None)
                raise error
            time.sleep(_POLL_S)
        self.ready_s = time.perf_counter() - started
        return self


class ServerProcess(HttpProcess):
    """Serves models of a registry by ``foretable serve`` on a free port while the context lasts."""

    def __init__(self, registry: str, *models: str, options: Sequence[str] = ()) -> None:
        """Keep what to serve, and the server's further options."""
        port = free_port()
        place = ["--registry", registry, "--models", ",".join(models), "--host", "127.0.0.1", "--port", str(port)]
        super().__init__([sys.executable, "-m", "foretable", "serve", *place, *options], port)

    def worker_rss_bytes(self) -> int:
        """Return the resident memory of the server, which is its only worker."""
        return memory_bytes(self._process.pid, "VmRSS")


def memory_bytes(process: int | str, field: str) -> int:
    """Return a field of ``/proc/<process>/status``: ``VmRSS`` is resident now, ``VmHWM`` was the most so far."""
    for line in Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    message = f"process {process} must be alive and have {field}; got none. Run it on Linux"
    raise Unavailable(message)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody had just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_ready(port: int, probe: bytes) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(probe)
            return connection.recv(12) in {b"HTTP/1.1 200", b"HTTP/1.0 200"}
    except OSError:
        return False
