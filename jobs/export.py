"""Export: a trained Keras model to one LiteRT flatbuffer that any batch size answers alike, or a refusal.

The flatbuffer has one signature: inputs ``index`` int32 (n, k), ``number`` float32 (n, m) and ``tensor_<name>``
float32 (n, *shape), each only where the space has such features; one output, float32 (n, width).
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import BadArtifact, Refused
from engine.inputs import Inputs
from engine.output import OutputSchema
from engine.runtime import SHAPES, Runtime
from engine.space import FeatureSpace
from jobs.train_data import by_feature

# LiteRT fuses and orders sums otherwise than TensorFlow, which differs from itself by 1e-7 between batch sizes.
_TOLERANCE = 1e-5
# Every row of the largest shape; a row at a time costs about 10 us.
_CHECK_ROWS = SHAPES[-1]

_CURES = (
    (r"TensorList|While", "recurrent layers (LSTM, GRU, RNN) need unroll=True and a fixed number of steps"),
    (r"String|Hash|Lookup|Regex|Utf8", "text and hash layers have no place in a model: declare a Categorical feature"),
    (r"Random|Multinomial", "randomness must stop where training=False"),
    (r"", "use another layer, or compute it before the model and declare the result as a feature"),
)


def convert(model: Any, space: FeatureSpace, schema: OutputSchema) -> bytes:  # a keras.Model
    """Return the LiteRT flatbuffer, float32.

    Raises:
        Refused: its inputs or outputs are not those declared, or LiteRT lacks an op; the message names it.
    """
    import tensorflow as tf
    from tensorflow.lite.python.convert import ConverterError
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    check_signature(model, space, schema)
    specs = [
        *([tf.TensorSpec([None, len(space.index_features)], tf.int32, "index")] if space.index_features else []),
        *([tf.TensorSpec([None, len(space.number_features)], tf.float32, "number")] if space.number_features else []),
        *(tf.TensorSpec([None, *f.shape], tf.float32, f"tensor_{f.name}") for f in space.tensor_features),
    ]

    def answer(*packed: Any) -> Any:  # tensors
        given = dict(zip((spec.name for spec in specs), packed, strict=True))
        columns = {feature.name: given["index"][:, place] for place, feature in enumerate(space.index_features)}
        columns |= {feature.name: given["number"][:, place] for place, feature in enumerate(space.number_features)}
        columns |= {feature.name: given[f"tensor_{feature.name}"] for feature in space.tensor_features}
        outputs = model(columns, training=False)
        return tf.concat([tf.cast(outputs[name], tf.float32) for name in schema.names], axis=-1)

    holder = tf.Module()
    holder.model = model  # the converter follows the variables from here
    said = ""
    try:
        with _silence() as spoken:
            # Variables become constants: the converter would leave them as resources that LiteRT reads as NaN.
            frozen = convert_variables_to_constants_v2(tf.function(answer).get_concrete_function(*specs))
            try:
                return bytes(tf.lite.TFLiteConverter.from_concrete_functions([frozen], holder).convert())
            finally:
                said = spoken()
    except (ConverterError, ValueError, tf.errors.OpError) as error:
        message = f"{error}\n{said}"
        raise _refusal(message) from error


def check_signature(model: Any, space: FeatureSpace, schema: OutputSchema) -> None:  # a keras.Model
    """Hold a built model against the definition.

    Raises:
        Refused: an input or output is missing, too many, or of another shape.
    """
    inputs = model.input if isinstance(model.input, dict) else {}
    if set(inputs) != set(space.names):
        found = sorted(inputs) or "a model whose inputs are no dict"
        message = f"the model that build() returns must take a dict of {', '.join(space.names)}; got {found}"
        raise Refused(message)
    outputs = model.output if isinstance(model.output, dict) else {}
    wanted = {output.name: (None, output.width) for output in schema.outputs}
    shapes = {name: tuple(tensor.shape) for name, tensor in outputs.items()}
    if shapes != wanted:
        message = f"the model that build() returns must give a dict of outputs of shapes {wanted}; got {shapes}"
        raise Refused(message)


def check_export(data: bytes, model: Any, space: FeatureSpace, schema: OutputSchema, sample: Inputs) -> None:
    """Hold a LiteRT model against its promises, on sample rows and on rows drawn at random.

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
        raise _refusal(str(error)) from error
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
    _check_against_keras(together, model, space, schema, rows)


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


def _refusal(said: str) -> Refused:
    """Name the ops that LiteRT lacks, and say what to do instead."""
    ops = sorted(set(re.findall(r"'tf\.(\w+)' op|failed to legalize operation 'tf\.(\w+)'", said)))
    names = [one or other for one, other in ops]
    names += [
        name for listed in re.findall(r"(?:Select|Custom) (?:TF )?ops: ([\w, ]+)", said) for name in listed.split(", ")
    ]
    names = sorted({name.strip() for name in names})
    if not names:
        first = next((line for line in said.splitlines() if line.strip()), "no reason")
        return Refused(f"the model must convert to LiteRT; got: {first[:300]}")
    cure = next(cure for pattern, cure in _CURES if re.search(pattern, " ".join(names)))
    return Refused(f"the model must have only ops that LiteRT has; got {', '.join(names)}. Instead: {cure}")


@contextmanager
def _silence() -> Iterator[Any]:
    """Keep what TensorFlow and its converter print, from Python and from C++, off the terminal.

    Yields:
        A function that returns what was said so far.
    """
    loggers = [logging.getLogger(name) for name in ("tensorflow", "absl")]
    levels = [logger.level for logger in loggers]
    with tempfile.TemporaryFile() as file:

        def spoken() -> str:
            file.seek(0)
            return file.read().decode(errors="replace")

        terminal = os.dup(2)
        try:
            for logger in loggers:
                logger.setLevel(logging.CRITICAL)
            os.dup2(file.fileno(), 2)
            yield spoken
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
