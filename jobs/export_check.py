"""What an exported LiteRT model must keep: any batch size answers a row alike, finite, and as Keras does."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import BadArtifact, Refused
from engine.inputs import Inputs
from engine.output import OutputSchema
from engine.runtime import SHAPES, Runtime
from engine.space import FeatureSpace
from jobs.export import refusal
from jobs.train_data import by_feature

# LiteRT fuses and orders sums otherwise than TensorFlow, which differs from itself by 1e-7 between batch sizes.
_TOLERANCE = 1e-5
# Every row of the largest shape; a row at a time costs about 10 us.
_CHECK_ROWS = SHAPES[-1]


def check_export(data: bytes, model: Any, space: FeatureSpace, schema: OutputSchema, sample: Inputs) -> None:
    """Hold the float32 model against its promises, on sample rows and on rows drawn at random.

    Args:
        data: the flatbuffer.
        model: the Keras model it was converted from.
        space: its features.
        schema: its outputs.
        sample: encoded rows of the holdout, one or more.

    Raises:
        Refused: an answer is not finite, differs from Keras by more than 1e-5, or changes with the rows beside it.
    """
    rows = _check_rows(space, sample)
    _check_against_keras(_checked_answers(data, space, schema, rows), model, space, schema, rows)


def check_int8(data: bytes, float32: bytes, space: FeatureSpace, schema: OutputSchema, sample: Inputs) -> None:
    """Hold the int8 model against what the float32 one keeps, but for its distance from Keras: that is measured later.

    Args:
        data: the flatbuffer.
        float32: the float32 model's.
        space: the features.
        schema: the outputs.
        sample: encoded rows of the holdout, one or more.

    Raises:
        Refused: it is no smaller than float32, an answer is not finite or changes with the rows beside it.
    """
    if len(data) >= len(float32):
        message = (
            f"an int8 model must be smaller than its float32 one; got {len(data):,} bytes for {len(float32):,}. "
            "LiteRT quantises only weights of 1,024 values or more"
        )
        raise Refused(message)
    _checked_answers(data, space, schema, _check_rows(space, sample))


def _checked_answers(data: bytes, space: FeatureSpace, schema: OutputSchema, rows: Inputs) -> npt.NDArray[np.float32]:
    """Return the answers to rows, once every shape and order gives the same and all are finite."""
    try:
        runtime = Runtime(data, space, schema.width, where="the exported model")
        together = runtime.infer(rows)
        others = {
            f"in a batch of {size}": np.concatenate(
                [runtime.infer(rows.take(slice(start, start + size))) for start in range(0, len(rows), size)]
            )
            for size in SHAPES[:-1]
        }
        order = np.random.default_rng(0).permutation(len(rows))
        shuffled = np.empty_like(together)
        shuffled[order] = runtime.infer(rows.take(order))
        others["among the same rows shuffled"] = shuffled
    except (BadArtifact, RuntimeError, ValueError) as error:
        raise refusal(str(error)) from error
    _check_finite(together, space, rows)
    for how, values in others.items():
        differ = np.flatnonzero((values.view(np.uint32) != together.view(np.uint32)).any(axis=1))
        if len(differ):
            row = int(differ[0])
            message = (
                f"the model must answer a row alike whatever rows stand beside it; got {together[row].tolist()} in a "
                f"batch of {len(rows)} and {values[row].tolist()} {how} ({len(differ):,} rows differ). It mixes rows: "
                "take out what computes over the batch axis (batch statistics, attention over the batch)"
            )
            raise Refused(message)
    return together


def _check_finite(values: npt.NDArray[np.float32], space: FeatureSpace, rows: Inputs) -> None:
    wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(wrong):
        row = {name: np.asarray(column[wrong[0]]).tolist() for name, column in by_feature(rows, space).items()}
        message = (
            f"the exported model must answer finite numbers; got {values[wrong[0]].tolist()} for the encoded row "
            f"{str(row)[:300]}. Look for a division by zero, a logarithm, or weights that diverged"
        )
        raise Refused(message)


def _check_against_keras(
    values: npt.NDArray[np.float32], model: Any, space: FeatureSpace, schema: OutputSchema, rows: Inputs
) -> None:
    import tensorflow as tf

    with tf.device("CPU:0"):  # a GPU may round matrix products to TF32
        answers = model({name: tf.constant(column) for name, column in by_feature(rows, space).items()}, training=False)
    wanted = np.concatenate([np.asarray(answers[name], np.float64) for name in schema.names], axis=1)
    off = np.abs(values - wanted) / np.maximum(1.0, np.abs(wanted))
    if not off.max() <= _TOLERANCE:
        row = int(np.argmax(off.max(axis=1)))
        message = (
            f"the exported model must answer as Keras does, within {_TOLERANCE:g}; got {values[row].tolist()} for "
            f"{wanted[row].tolist()}. An op of the model means something else in LiteRT, or is random at inference"
        )
        raise Refused(message)


def _check_rows(space: FeatureSpace, sample: Inputs) -> Inputs:
    """Return rows of which half are the sample's, and half have each feature drawn by itself.

    Drawn rows reach every index an embedding has, those of unknown categories too, and differ even where the sample
    is one row: equal rows would hide a model that mixes them.
    """
    random = np.random.default_rng(0)
    half = _CHECK_ROWS // 2
    kept = sample.take(np.arange(half) % len(sample))
    index = [random.integers(0, feature.cardinality, half) for feature in space.index_features]
    numbers = [column[random.integers(0, len(sample), half)] + random.normal(size=half) for column in sample.number]
    tensors = [
        (tensor[random.integers(0, len(sample), half)] + random.normal(0, 0.1, (half, *tensor.shape[1:])))
        for tensor in sample.tensors
    ]
    return Inputs(
        np.concatenate([kept.index, np.array(index, np.int32).reshape(-1, half)], axis=1),
        np.concatenate([kept.number, np.array(numbers, np.float32).reshape(-1, half)], axis=1),
        tuple(
            np.concatenate([one, other.astype(np.float32)]) for one, other in zip(kept.tensors, tensors, strict=True)
        ),
    )
