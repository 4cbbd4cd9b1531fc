"""A net over the space of ``bench/net.py`` that takes 5 ms a row on the machine that made it: real computation.

One square layer is applied again and again, as often as makes 5 ms: ``python -m bench.deep_net`` measures that, and
keeps the LiteRT file in ``bench/.cache``.
"""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from typing import Any

from bench.net import FILE as NET_FILE
from bench.net import bundle_of, net_schema, net_space
from bench.timing import seconds
from engine.bundle import BundleContents
from engine.errors import Unavailable
from engine.runtime import Runtime
from engine.space import FeatureSpace

FILE = NET_FILE.with_name("deep.tflite")
ROW_S = 0.005
_MODEL = "deep"
_ROWS = 8_467_200
_WIDTH = 512
_PROBE_LAYERS = 32
_TIMED_ROWS = 50


def deep_bundle(space: FeatureSpace) -> BundleContents:
    """Return a bundle of the net over the space of ``net_space``, made in a process of its own where it is missing.

    Raises:
        Unavailable: that process failed.
    """
    if not FILE.exists():
        done = subprocess.run([sys.executable, "-m", "bench.deep_net"], capture_output=True, text=True, check=False)
        if done.returncode:
            message = f"python -m bench.deep_net must end with 0; got {done.returncode}: {done.stderr[-800:]}"
            raise Unavailable(message)
    return bundle_of(_MODEL, space, FILE.read_bytes())


def row_seconds(data: bytes, space: FeatureSpace) -> float:
    """Return how long a row takes."""
    runtime = Runtime(data, space, net_schema().width)
    inputs = space.encode_rows([dict(space.row(0))]).inputs
    runtime.infer(inputs)
    return median(seconds(lambda: runtime.infer(inputs)) for _ in range(_TIMED_ROWS))


def converted(space: FeatureSpace, layers_deep: int) -> bytes:
    """Build and convert the net with so many layers."""
    import keras
    from keras import layers

    from jobs.export import Converter

    keras.utils.set_random_seed(1)
    inputs = {feature.name: keras.Input((), dtype="int32", name=feature.name) for feature in space.index_features}
    parts = [layers.Embedding(f.cardinality, 8)(inputs[f.name]) for f in space.index_features]
    hidden: Any = layers.Dense(_WIDTH, "relu")(layers.Concatenate()(parts))
    # Its weights stay in the cores' caches: the time is that of arithmetic, not of memory that the other core uses too.
    again = layers.Dense(_WIDTH, "relu", kernel_initializer="he_normal")
    for _ in range(layers_deep):
        hidden = again(hidden)
    model = keras.Model(inputs, {"on_time": layers.Dense(1, "sigmoid", name="on_time")(hidden)})
    return Converter(model, space, net_schema()).convert()


def main() -> None:
    """Find out how deep the net must be; convert it."""
    space = net_space(_ROWS)
    probe_s = row_seconds(converted(space, _PROBE_LAYERS), space)
    temporary = FILE.with_suffix(".part")
    temporary.write_bytes(converted(space, round(_PROBE_LAYERS * ROW_S / probe_s)))
    temporary.replace(FILE)


if __name__ == "__main__":
    main()
