"""A net of the flights model's size over a synthetic space of any size: six embeddings, then 64-32-1.

The LiteRT file is made once, by ``python -m bench.net``, and kept in ``bench/.cache``: the weights are random, from a
seed. The last feature's embedding is large enough for every space, so one file serves them all.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from engine.bundle import BundleContents
from engine.errors import BadSettings, Unavailable
from engine.feature import Categorical
from engine.histogram import response_histogram
from engine.output import Output, OutputSchema
from engine.registry import Registry
from engine.runtime import Runtime
from engine.space import FeatureSpace

MODEL = "net"
FILE = Path(__file__).parent / ".cache" / "net.tflite"
KERAS_FILE = FILE.with_suffix(".keras")
# Carriers, origins, destinations, months, weekdays of the flights model: 423,360 combinations for each time slot.
SIZES = (16, 3, 105, 12, 7)
_ROWS_PER_SLOT = 16 * 3 * 105 * 12 * 7
_MOST_SLOTS = 4096
_GOLDEN_ROWS = 32


def net_space(rows: int) -> FeatureSpace:
    """Return a space of about so many rows: five features of fixed sizes, and time slots for the rest.

    Raises:
        BadSettings: it would have more than 4,096 time slots.
    """
    slots = max(1, round(rows / _ROWS_PER_SLOT))
    if slots > _MOST_SLOTS:
        message = f"rows must be at most {_MOST_SLOTS * _ROWS_PER_SLOT:,}, what the net's embedding has; got {rows:,}"
        raise BadSettings(message)
    names = ("carrier", "origin", "dest", "month", "weekday", "slot")
    return FeatureSpace(
        Categorical(name, tuple(f"{name} {number}" for number in range(size)))
        for name, size in zip(names, (*SIZES, slots), strict=True)
    )


def net_schema() -> OutputSchema:
    """Return the one output."""
    return OutputSchema([Output("on_time")])


def net_bytes() -> bytes:
    """Return the LiteRT file, made in a process of its own where it is missing: TensorFlow is large."""
    if not FILE.exists() or not KERAS_FILE.exists():
        done = subprocess.run([sys.executable, "-m", "bench.net"], capture_output=True, text=True, check=False)
        if done.returncode:
            message = f"python -m bench.net must end with 0; got {done.returncode}: {done.stderr[-800:]}"
            raise Unavailable(message)
    return FILE.read_bytes()


def write_net(registry: Registry, rows: int) -> str:
    """Write a bundle of the net over a space of about so many rows; return its id."""
    return registry.model(MODEL).write_bundle(net_bundle(net_space(rows)))


def net_bundle(space: FeatureSpace) -> BundleContents:
    """Return a bundle of the net over a space of six index features, no larger than those of ``net_space``."""
    return bundle_of(MODEL, space, net_bytes())


def bundle_of(model: str, space: FeatureSpace, data: bytes) -> BundleContents:
    """Return a bundle of a LiteRT model of the net's output over a finite space."""
    schema = net_schema()
    golden = [dict(space.row(ordinal)) for ordinal in range(0, space.size, space.size // _GOLDEN_ROWS)]
    answers = Runtime(data, space, schema.width).infer(space.encode_rows(golden).inputs)
    return BundleContents(
        model=model,
        space=space,
        schema=schema,
        variants={"float32": data},
        golden_rows=golden,
        golden_answers=answers,
        metrics={},
        histogram=response_histogram(answers, schema),
        limits={},
    )


def main() -> None:
    """Build and convert the net."""
    import keras
    from keras import layers

    from jobs.export import Converter

    keras.utils.set_random_seed(1)
    space = net_space(_MOST_SLOTS * _ROWS_PER_SLOT)
    inputs = {feature.name: keras.Input((), dtype="int32", name=feature.name) for feature in space.index_features}
    parts = [layers.Embedding(f.cardinality, 8)(inputs[f.name]) for f in space.index_features]
    hidden = layers.Dense(32, "relu")(layers.Dense(64, "relu")(layers.Concatenate()(parts)))
    model = keras.Model(inputs, {"on_time": layers.Dense(1, "sigmoid", name="on_time")(hidden)})
    FILE.parent.mkdir(exist_ok=True)
    model.save(KERAS_FILE)
    temporary = FILE.with_suffix(".part")
    temporary.write_bytes(Converter(model, space, net_schema()).convert())
    temporary.replace(FILE)


if __name__ == "__main__":
    main()
