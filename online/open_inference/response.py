"""An inference response: its JSON, and the binary tensor data behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.answer import Answers
from engine.output import OutputSchema
from online.open_inference.datatype import FP32
from online.responses import counted, to_json


def render(
    answers: Answers, schema: OutputSchema, outputs: Mapping[str, bool], *, model: str, release: int, id: str | None
) -> tuple[bytes, int | None]:
    """Return the body, and how many bytes of it are JSON; None where all are.

    Args:
        answers: to all rows; none is at fault.
        schema: of the model's outputs.
        outputs: the names of those to give, in order; each with whether as binary tensor data.
        model: the model's name.
        release: the number of the release.
        id: the request's, or None.
    """
    binary: list[bytes] = []
    tensors = []
    for name, is_binary in outputs.items():
        values = np.ascontiguousarray(answers.values[:, schema.slices[name]], "<f4")
        shape = list(values.shape) if values.shape[1] > 1 else [len(values)]
        tensor: dict[str, Any] = {"name": name, "datatype": FP32, "shape": shape}
        if is_binary:
            binary.append(values.tobytes())
            tensor["parameters"] = {"binary_data_size": values.nbytes}
        else:
            tensor["data"] = values.reshape(-1)
        tensors.append(tensor)
    head = to_json(
        {
            "model_name": model,
            "model_version": str(release),
            **({} if id is None else {"id": id}),
            "parameters": {"source": counted(answers.rows_by_source()), "release": release},
            "outputs": tensors,
        }
    )
    return b"".join([head, *binary]), len(head) if binary else None
