"""A real ``foretable serve`` on a free port, and what it costs."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from engine.errors import Unavailable

_WAIT_S = 60.0
_POLL_S = 0.002


class ServerProcess:
    """Serves one model of a registry while the context lasts.

    Attributes:
        port: on 127.0.0.1.
        ready_s: from the start of the process to the first 200 of ``/readyz``.
    """

    def __init__(self, registry: str, model: str) -> None:
        """Keep what to serve."""
        self.port, self.ready_s = _free_port(), 0.0
        place = ["--registry", registry, "--models", model, "--host", "127.0.0.1", "--port", str(self.port)]
        self._command = [sys.executable, "-m", "foretable", "serve", *place]

    def __enter__(self) -> Self:
        """Start it and wait until it is ready.

        Raises:
            Unavailable: it ended, or was not ready within a minute.
        """
        self._log = tempfile.TemporaryFile()  # closed by __exit__
        started = time.perf_counter()
        self._process = subprocess.Popen(self._command, stdout=self._log, stderr=subprocess.STDOUT)
        while not _is_ready(self.port):
            if self._process.poll() is not None or time.perf_counter() - started > _WAIT_S:
                self.__exit__(None, None, None)
                message = f"foretable serve must be ready within {_WAIT_S:.0f} s; got {self._ending}"
                raise Unavailable(message)
            time.sleep(_POLL_S)
        self.ready_s = time.perf_counter() - started
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drain and end it."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_WAIT_S)
        self._process.kill()
        self._process.wait()
        self._log.seek(0)
        self._ending = f"exit code {self._process.returncode}: {self._log.read()[-800:].decode(errors='replace')}"
        self._log.close()

    def worker_rss_bytes(self) -> int:
        """Return the resident memory of the worker: the largest of the children that the server has now."""
        task = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return max(memory_bytes(int(child), "VmRSS") for child in task.read_text(encoding="ascii").split())


def memory_bytes(process: int | str, field: str) -> int:
    """Return a field of ``/proc/<process>/status``: ``VmRSS`` is resident now, ``VmHWM`` was the most so far."""
    for line in Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    message = f"process {process} must be alive and have {field}; got none. Run it on Linux"
    raise Unavailable(message)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_ready(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return connection.recv(12) == b"HTTP/1.1 200"
    except OSError:
        return False
