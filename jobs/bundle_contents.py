"""What a bundle holds of a trained model: its LiteRT files, golden rows with their answers, metrics, and histogram."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engine.bundle import BundleContents
from engine.definition import Definition
from engine.errors import Refused
from engine.histogram import response_histogram
from engine.runtime import Runtime
from jobs.export import Converter
from jobs.export_check import check_export, check_int8
from jobs.metrics import evaluate
from jobs.train_data import LabelledRows

_GOLDEN_ROWS = 64


def bundle_contents(
    definition: Definition,
    model: Any,
    holdout: LabelledRows,
    origin: dict[str, Any],
    report: Callable[[str], object] = lambda _: None,
) -> BundleContents:
    """Convert a trained ``keras.Model``, hold it to its promises, and describe it by its answers to the holdout.

    Args:
        definition: of the model.
        model: with the weights to export.
        holdout: one or more rows that it was not trained on.
        origin: where the weights came from.
        report: told why there is no int8 variant, where there is none; ``origin`` is stored with that, too.

    Raises:
        Refused: LiteRT cannot convert it, or it does not keep its promises.
    """
    space, schema = definition.space, definition.schema
    converter = Converter(model, space, schema)
    variants = {"float32": converter.convert()}
    check_export(variants["float32"], model, space, schema, holdout.inputs)
    try:
        int8 = converter.convert("int8")
        check_int8(int8, variants["float32"], space, schema, holdout.inputs)
        variants["int8"] = int8
    except Refused as refused:  # a model without a smaller variant is a model all the same
        origin = {**origin, "left_out": {"int8": str(refused)}}
        report(f"no int8 variant: {refused}")
    runtimes = {name: Runtime(data, space, schema.width) for name, data in variants.items()}
    runtime = runtimes.pop("float32")
    answers = runtime.infer(holdout.inputs)
    chosen = np.unique(np.linspace(0, len(holdout) - 1, min(_GOLDEN_ROWS, len(holdout))).astype(np.int64))
    golden = [
        {feature: _json_value(value) for feature, value in row.items()}
        for row in holdout.table.select(list(space.names)).take(chosen).to_pylist()
    ]
    encoded = space.encode_rows(golden)
    if encoded.faults:  # an Arrow type that JSON has no word for
        raise next(iter(encoded.faults.values()))
    return BundleContents(
        model=definition.name,
        space=space,
        schema=schema,
        variants=variants,
        golden_rows=golden,
        golden_answers=runtime.infer(encoded.inputs),
        variant_answers={name: other.infer(encoded.inputs) for name, other in runtimes.items()},
        metrics=evaluate(schema, holdout.labels, answers),
        histogram=response_histogram(answers, schema),
        limits=definition.limits.to_json(),
        training=origin,
    )


def _json_value(value: object) -> object:
    return value if isinstance(value, (str, int, float, list)) else str(value)
