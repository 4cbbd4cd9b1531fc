"""Starts the peers: each on a free port, in the environment that has it, with the settings its module explains."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from bench.load.request import Request
from bench.net import FILE
from bench.online_peers.row_net import CATEGORIES, NET
from bench.server_process import HttpProcess, free_port
from engine.errors import Unavailable

ROOT = Path(__file__).resolve().parents[2]
_BIN = ROOT / ".venv-peers" / "bin"
PREDICT, INFERENCE, V2_INFER = "/predict", "/inference", "/v2/models/net/infer"
_IMPORTS = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


def hello() -> HttpProcess:
    """Return the floor: granian that says hello."""
    port = free_port()
    command = [sys.executable, "-m", "bench.online_peers.hello", str(port)]
    return HttpProcess(command, port, probe=Request("/").raw())


def flask(categories: Path) -> HttpProcess:
    """Return Flask with a loop over rows."""
    port = free_port()
    command = [sys.executable, "-m", "bench.online_peers.flask_net", str(port)]
    return HttpProcess(command, port, environment=_environment(categories))


def peer(name: str, categories: Path, probe: Request) -> HttpProcess:
    """Return mosec, litserve, mlserver or bentoml; it is ready when it answers the probe.

    Raises:
        Unavailable: their environment is missing.
    """
    if not (_BIN / "python").exists():
        message = f"bench-online must have the peers' environment in {_BIN.parent.name}; found none. Run make peers"
        raise Unavailable(message)
    port = free_port()
    python = [str(_BIN / "python"), "-m", f"bench.online_peers.{name}_net"]
    commands = {
        "mosec": [*python, "--address", "127.0.0.1", "--port", str(port), "--log-level", "warning"],
        "litserve": [*python, str(port)],
        "mlserver": [*python, str(port), str(free_port())],
        "bentoml": [
            str(_BIN / "python"),
            *("-m", "bentoml", "serve", "bench.online_peers.bentoml_net:Net"),
            *("--host", "127.0.0.1", "--port", str(port), "--working-dir", str(ROOT)),
        ],
    }
    return HttpProcess(commands[name], port, probe=probe.raw(), environment=_environment(categories))


def _environment(categories: Path) -> Mapping[str, str]:
    # BentoML reports its use to its makers, and keeps files in the user's home, unless told not to.
    bentoml = {"BENTOML_DO_NOT_TRACK": "true", "BENTOML_HOME": str(categories.with_name("bentoml"))}
    return {NET: str(FILE), CATEGORIES: str(categories), **_IMPORTS, **bentoml}
