"""What a bundle holds of a trained model: its LiteRT file, golden rows with their answers, metrics, and histogram."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.bundle import BundleContents
from engine.definition import Definition
from engine.histogram import response_histogram
from engine.runtime import Runtime
from jobs.export import check_export, convert
from jobs.metrics import evaluate
from jobs.train_data import LabelledRows

_GOLDEN_ROWS = 64


def bundle_contents(
    definition: Definition, model: Any, holdout: LabelledRows, origin: dict[str, Any]
) -> BundleContents:
    """Convert a trained ``keras.Model``, hold it to its promises, and describe it by its answers to the holdout.

    Raises:
        Refused: LiteRT cannot convert it, or it does not keep its promises.
    """
    space, schema = definition.space, definition.schema
    data = convert(model, space, schema)
    check_export(data, model, space, schema, holdout.inputs)
    runtime = Runtime(data, space, schema.width)
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
        variants={"float32": data},
        golden_rows=golden,
        golden_answers=runtime.infer(encoded.inputs),
        metrics=evaluate(schema, holdout.labels, answers),
        histogram=response_histogram(answers, schema),
        limits=definition.limits.to_json(),
        training=origin,
    )


def _json_value(value: object) -> object:
    return value if isinstance(value, (str, int, float, list)) else str(value)
