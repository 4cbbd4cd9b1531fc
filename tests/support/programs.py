"""The real programs, as users start them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
TIMEOUT_S = 200


@dataclass(frozen=True)
class Finished:
    """What a program left: its exit code and its two outputs."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Read standard output, which must be one line of JSON."""
        assert self.code == 0, self.err
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


def start(*command: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start a program in a session of its own, so that a signal to the test run does not reach it."""
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> Finished:
    """Wait for a program; kill it where it hangs."""
    try:
        out, err = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its children hold its outputs open
        process.communicate()
        raise
    return Finished(process.returncode, out, err)


def foretable(*arguments: str, environment: Mapping[str, str] | None = None) -> Finished:
    """Run the installed ``foretable``."""
    return finish(start(str(BIN / "foretable"), *arguments, environment=environment))


def python(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Finished:
    """Run ``python -m module``."""
    return finish(start(sys.executable, "-m", module, *arguments, environment=environment))


def processes_of(marker: str) -> list[int]:
    """Return the ids of live processes whose environment has ``TEST_MARKER=marker``."""
    found = []
    for process in psutil.process_iter(["pid"]):
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("TEST_MARKER") == marker:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found
