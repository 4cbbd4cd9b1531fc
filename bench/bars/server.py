"""How soon a server is ready beside the imports it cannot do without, and how much memory it keeps."""

from __future__ import annotations

import subprocess
import sys
from statistics import median

from bench.harness import Result
from bench.http_client import Client
from bench.random_rows import random_rows
from bench.server_process import ServerProcess
from bench.timing import seconds
from engine.predictor import Predictor

BARE_IMPORTS = "import numpy, flask, ai_edge_litert.interpreter, pyarrow, prometheus_client, httptools, uvloop, orjson"
# Enough that every block of the table is read, and with it resident.
_TOUCHING_ROWS = 10_000


def measure(command: str, *, registry: str, model: str, repeats: int) -> list[Result]:
    """Start the server and a bare Python in turn; then read the table through the last server."""
    predictor = Predictor.open(registry, model)
    table_bytes = predictor.table.size_bytes if predictor.table else 0
    rows = random_rows(predictor.space, _TOUCHING_ROWS).dicts()
    extra_s, resident = [], 0
    _bare()  # the files are in the page cache from here on
    for number in range(repeats):
        bare_s = seconds(_bare)
        with ServerProcess(registry, model) as server:
            extra_s.append(server.ready_s - bare_s)
            if number == repeats - 1:
                Client(server.port, model, tuple(predictor.schema.names)).post(rows)
                resident = server.worker_rss_bytes()
        print(f"  bare imports {bare_s:.2f} s, server ready {server.ready_s:.2f} s")
    return [
        Result(
            bar="server ready, after the time of its bare imports",
            value=median(extra_s),
            unit="s",
            goal=0.3,
            better="lower",
            command=command,
        ),
        Result(
            bar="server's resident memory, less its table",
            value=(resident - table_bytes) / 1e6,
            unit="MB",
            goal=150,
            better="lower",
            command=command,
        ),
    ]


def _bare() -> None:
    subprocess.run([sys.executable, "-c", BARE_IMPORTS], check=True)
