"""An inference response: its JSON, and the binary tensor data behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from engine.output import OutputSchema
from engine.wire.output_json import to_json
from online.open_inference.datatype import FP32


class Identity(NamedTuple):
    """What a response says of itself.

    Attributes:
        model: the model's name.
        release: the number of the release.
        sources: of the answers, as ``counted`` gives them.
        id: the request's, or None.
    """

    model: str
    release: int
    sources: str
    id: str | None


def render(
    values: npt.NDArray[np.float32], schema: OutputSchema, outputs: Mapping[str, bool], identity: Identity
) -> tuple[bytes, int | None]:
    """Return the body, and how many bytes of it are JSON; None where all are.

    Args:
        values: of shape (n, width), the answers to all rows; none is at fault.
        schema: of the model's outputs.
        outputs: the names of those to give, in order; each with whether as binary tensor data.
        identity: of the response.
    """
    binary: list[bytes] = []
    tensors = []
    for name, is_binary in outputs.items():
        chosen = np.ascontiguousarray(values[:, schema.slices[name]], "<f4")
        shape = list(chosen.shape) if chosen.shape[1] > 1 else [len(chosen)]
        tensor: dict[str, Any] = {"name": name, "datatype": FP32, "shape": shape}
        if is_binary:
            binary.append(chosen.tobytes())
            tensor["parameters"] = {"binary_data_size": chosen.nbytes}
        else:
            tensor["data"] = chosen.reshape(-1)
        tensors.append(tensor)
    head = to_json(
        {
            "model_name": identity.model,
            "model_version": str(identity.release),
            **({} if identity.id is None else {"id": identity.id}),
            "parameters": {"source": identity.sources, "release": identity.release},
            "outputs": tensors,
        }
    )
    return b"".join([head, *binary]), len(head) if binary else None
