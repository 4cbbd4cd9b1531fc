"""A load generator: a program that is installed or built where it is missing, and ended with what uses it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from engine.errors import Unavailable

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def running(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a generator while the context's body runs; all that it prints comes by ``communicate``."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            yield process
        finally:
            process.kill()


def tool(name: str) -> str:
    """Return the path of a load generator, which is installed or built where it is missing.

    Raises:
        Unavailable: it cannot be had here.
    """
    done = subprocess.run(
        [str(ROOT / "scripts" / f"ensure_{name}.sh"), "--require"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Unavailable(done.stderr.strip())
    return done.stdout.strip()
