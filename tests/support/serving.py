"""What serves the synthetic models: in this process, and as the real program."""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Self

import psutil

from engine.holder import load_labelled
from engine.registry import Registry
from online.config import ServeConfig
from online.served import ServedHolder, load
from tests.support.announced_process import AnnouncedProcess
from tests.support.synthetic import FINITE_NAME, NUMBERS_NAME
from tests.support.waiting import wait_until


def load_both(registry: Path, **settings: Any) -> tuple[ServeConfig, ServedHolder]:
    """Load both synthetic models as the server does."""
    config = ServeConfig(registry=str(registry), models=(FINITE_NAME, NUMBERS_NAME), threads=1)
    config = dataclasses.replace(config, **settings)
    models = Registry(config.registry)
    load_one = partial(load, config=config)
    return config, ServedHolder(
        [each for name in config.models for each in load_labelled(models.model(name), config.labels, load_one)],
        config.labels,
    )


class ServerProcess(AnnouncedProcess):
    """The server program on a free port. Inside the context it is up."""

    def __init__(
        self, registry: Path | str, *options: str, logs: Path, emulator: Sequence[str] = (), **environment: str
    ) -> None:
        """Start it, on a machine or in an emulator of another; ``__enter__`` waits until it is ready."""
        argv = [*emulator, sys.executable, "-m", "online.server", "--registry", str(registry), "--port", "0", *options]
        super().__init__(argv, logs=logs, mode="wb", environment={**os.environ, **environment})
        self.port = 0

    def __enter__(self) -> Self:
        """Wait for the announcement."""
        found = self.ready(r"serving .+ on https?://127\.0\.0\.1:([0-9]+)(?: by [0-9]+ workers)?")
        self.port = int(found[1])
        return self

    def workers(self) -> list[int]:
        """Return the process ids of its workers, in their order, where there are several."""
        children = psutil.Process(self.process.pid).children()
        return sorted(child.pid for child in children if "spawn_main" in " ".join(child.cmdline()))

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def request(self, path: str, body: object = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Send one request, a POST where there is a body; return status, headers by lower-case name, and body."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        with closing(self.connect()) as connection:
            connection.request("GET" if body is None else "POST", path, data, headers)
            response = connection.getresponse()
            found = response.read()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, found

    def metric(self, line: str) -> float:
        """Return one sample of /metrics by its name and labels."""
        text = self.request("/metrics")[2].decode()
        (found,) = [found for found in text.splitlines() if found.startswith(line + " ")]
        return float(found.rpartition(" ")[2])

    def wait_for_metric(self, line: str, value: float) -> None:
        """Wait until a sample of /metrics has a value."""
        wait_until(lambda: self.metric(line) == value, what=f"{line} is {value}", timeout_s=30)
