"""A program that runs to its end, with its output kept for whoever has to say why it failed."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def run_to_end(
    command: Sequence[str | Path], environment: Mapping[str, str], *, timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run a program without a keyboard; ``stdout`` of what is returned holds both of its outputs.

    Raises:
        subprocess.TimeoutExpired: it ran for longer, and was killed.
    """
    return subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=timeout_s,
    )
