"""Export: a trained Keras model to LiteRT flatbuffers, one a variant, or a refusal.

A flatbuffer has one signature: inputs ``index`` int32 (n, k), ``number`` float32 (n, m) and ``tensor_<name>``
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

from engine.errors import Refused
from engine.output import OutputSchema
from engine.space import FeatureSpace

_CURES = (
    (r"TensorList|While", "recurrent layers (LSTM, GRU, RNN) need unroll=True and a fixed number of steps"),
    (r"String|Hash|Lookup|Regex|Utf8", "text and hash layers have no place in a model: declare a Categorical feature"),
    (r"Random|Multinomial", "randomness must stop where training=False"),
    (r"", "use another layer, or compute it before the model and declare the result as a feature"),
)


class Converter:
    """A trained model as a graph of constants, from which each LiteRT variant is converted.

    Variants: ``float32`` is the model as it was trained; ``int8`` has each large weight matrix as 8-bit integers with a
    float32 scale per channel, and quantises what meets it row by row as it runs (LiteRT's dynamic range quantisation).
    """

    def __init__(self, model: Any, space: FeatureSpace, schema: OutputSchema) -> None:  # a keras.Model
        """Freeze the model over packed inputs.

        Raises:
            Refused: its inputs or outputs are not those declared, or it cannot be traced.
        """
        import tensorflow as tf
        from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

        check_signature(model, space, schema)
        specs = _specs(space)

        def answer(*packed: Any) -> Any:  # tensors
            given = dict(zip((spec.name for spec in specs), packed, strict=True))
            columns = {feature.name: given["index"][:, place] for place, feature in enumerate(space.index_features)}
            columns |= {feature.name: given["number"][:, place] for place, feature in enumerate(space.number_features)}
            columns |= {feature.name: given[f"tensor_{feature.name}"] for feature in space.tensor_features}
            outputs = model(columns, training=False)
            return tf.concat([tf.cast(outputs[name], tf.float32) for name in schema.names], axis=-1)

        self._holder = tf.Module()
        self._holder.model = model  # the converter follows the variables from here
        with _refusing():
            # Variables become constants: the converter would leave them as resources that LiteRT reads as NaN.
            self._frozen = convert_variables_to_constants_v2(tf.function(answer).get_concrete_function(*specs))

    def convert(self, variant: str = "float32") -> bytes:
        """Return the flatbuffer of a variant.

        Raises:
            Refused: LiteRT lacks an op, which the message names.
        """
        import tensorflow as tf

        converter = tf.lite.TFLiteConverter.from_concrete_functions([self._frozen], self._holder)
        if variant == "int8":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        with _refusing():
            return bytes(converter.convert())


def _specs(space: FeatureSpace) -> list[Any]:  # of tf.TensorSpec
    import tensorflow as tf

    return [
        *([tf.TensorSpec([None, len(space.index_features)], tf.int32, "index")] if space.index_features else []),
        *([tf.TensorSpec([None, len(space.number_features)], tf.float32, "number")] if space.number_features else []),
        *(tf.TensorSpec([None, *f.shape], tf.float32, f"tensor_{f.name}") for f in space.tensor_features),
    ]


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


@contextmanager
def _refusing() -> Iterator[None]:
    """Make what TensorFlow and its converter cannot do a refusal, which names the ops, and keep them silent."""
    import tensorflow as tf
    from tensorflow.lite.python.convert import ConverterError

    said = ""
    try:
        with _silence() as spoken:
            try:
                yield
            finally:
                said = spoken()
    except (ConverterError, ValueError, tf.errors.OpError) as error:
        message = f"{error}\n{said}"
        raise refusal(message) from error


def refusal(said: str) -> Refused:
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
