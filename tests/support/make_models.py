"""Writes the committed models of ``tests.support.synthetic``, with random weights from a seed. Needs TensorFlow."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import layers
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from engine.space import FeatureSpace
from tests.support.synthetic import MODELS, SPINS_AT, numbers_space, synthetic_space


def two_outputs(space: FeatureSpace, units: int = 16) -> Any:
    """A net with the outputs of ``synthetic_schema``; its answers spread over most of their ranges."""
    index = {feature.name: keras.Input((), dtype="int32", name=feature.name) for feature in space.index_features}
    numbers = {feature.name: keras.Input((), name=feature.name) for feature in space.number_features}
    tensors = {feature.name: keras.Input(feature.shape, name=feature.name) for feature in space.tensor_features}
    wide = keras.initializers.RandomNormal(stddev=1.0)
    parts = [layers.Embedding(f.cardinality, 6, wide)(index[f.name]) for f in space.index_features]
    parts += [layers.Reshape((1,))(number) for number in numbers.values()]
    parts += [layers.Flatten()(tensor) for tensor in tensors.values()]
    hidden = layers.Dense(units, "relu")(layers.Concatenate()(parts))
    outputs = {
        "click": layers.Dense(1, "sigmoid", name="click")(hidden),
        "share": layers.Dense(2, "tanh", name="share")(hidden),
    }
    return keras.Model({**index, **numbers, **tensors}, outputs)


def convert(model: Any, space: FeatureSpace, *, spins: bool = False, int8: bool = False) -> bytes:
    """Convert by the shortest way; ``jobs.export`` is what users run, and is tested against this.

    Args:
        model: by feature name.
        space: its features.
        spins: the model loops for ever while some row's first number is ``SPINS_AT``.
        int8: by dynamic range quantisation.
    """
    specs = []
    if space.index_features:
        specs.append(tf.TensorSpec([None, len(space.index_features)], tf.int32, "index"))
    if space.number_features:
        specs.append(tf.TensorSpec([None, len(space.number_features)], tf.float32, "number"))
    specs += [tf.TensorSpec([None, *f.shape], tf.float32, f"tensor_{f.name}") for f in space.tensor_features]

    def answer(*packed: Any) -> Any:
        by_name = dict(zip([spec.name for spec in specs], packed, strict=True))
        named = {f.name: by_name["index"][:, place] for place, f in enumerate(space.index_features)}
        named |= {f.name: by_name["number"][:, place] for place, f in enumerate(space.number_features)}
        named |= {f.name: by_name[f"tensor_{f.name}"] for f in space.tensor_features}
        outputs = model(named, training=False)
        if spins:
            stuck = tf.reduce_any(tf.equal(by_name["number"][:, 0], SPINS_AT))
            turns = tf.while_loop(lambda turn: stuck, lambda turn: turn + 1, [0])
            outputs["click"] += 0.0 * tf.cast(turns[0], tf.float32)  # the loop must not be optimised away
        return tf.concat([outputs["click"], outputs["share"]], axis=-1)

    holder = tf.Module()
    holder.model = model
    frozen = convert_variables_to_constants_v2(tf.function(answer).get_concrete_function(*specs))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen], holder)
    if int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return bytes(converter.convert())


def write_wide() -> None:
    """Write one net twice: its hidden layer has the 1,024 weights that int8 needs to change anything."""
    keras.utils.set_random_seed(7)
    space = synthetic_space()
    model = two_outputs(space, units=64)
    (MODELS / "wide.float32.tflite").write_bytes(convert(model, space))
    (MODELS / "wide.int8.tflite").write_bytes(convert(model, space, int8=True))


def main() -> None:
    """Write all files."""
    write_wide()
    spaces = {"synthetic": synthetic_space(), "numbers": numbers_space(), "spinning": numbers_space()}
    for name, space in spaces.items():
        keras.utils.set_random_seed(7)
        data = convert(two_outputs(space), space, spins=name == "spinning")
        (MODELS / f"{name}.tflite").write_bytes(data)
        print(name, len(data), "bytes")


if __name__ == "__main__":
    main()
