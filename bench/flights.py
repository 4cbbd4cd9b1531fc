"""The flights model as benchmarks use it: trained once a registry, published in any codec."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from engine.errors import Unavailable
from engine.registry import Registry
from jobs.precompute import PrecomputeSettings, precompute
from jobs.publish import PublishSettings, publish
from jobs.runner import open_runner

ROOT = Path(__file__).resolve().parents[1]
MODEL = "flights"
DEFINITION = ROOT / "examples" / "flights" / "definition.py"


def train_flights(registry: Registry) -> None:
    """Train and export the model, unless the registry has it; a process of its own, because TensorFlow is large.

    Raises:
        Unavailable: the training failed.
    """
    if registry.model(MODEL).bundles():
        return
    command = [sys.executable, "-m", "jobs.train", str(DEFINITION), "--registry", registry.url, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"{' '.join(command[1:])} must end with 0; got {done.returncode}: {done.stderr[-800:]}"
        raise Unavailable(message)


def publish_flights(registry: Registry, codec: str = "float32") -> None:
    """Train if need be, precompute by the local runner, and point ``production`` to the result.

    Raises:
        Refused: the gate refuses it.
    """
    train_flights(registry)
    precompute(registry, PrecomputeSettings(model=MODEL, codec=codec, quiet=True), lambda: open_runner("local"))
    publish(registry, PublishSettings(model=MODEL, codec=codec, reason="a benchmark"))
