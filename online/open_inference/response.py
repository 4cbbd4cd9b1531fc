"""An inference response: its JSON, and the binary tensor data behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.answer import Answer, Source
from engine.output import OutputSchema
from engine.wire.output_json import numbers_json, to_json
from online.open_inference.datatype import FP32


class InferRenderer:
    """Renders the responses of one release of one model."""

    def __init__(self, model: str, release: int, schema: OutputSchema) -> None:
        """Prepare all that does not depend on the row."""
        self._schema, self._release = schema, release
        self._identity = {"model_name": model, "model_version": str(release)}
        self._row_start = to_json(self._identity)[:-1]
        self._row_parameters = {source: to_json(self._parameters(source.text))[1:-1] for source in Source}
        # One row in JSON, with a place for each number.
        self._row_outputs = b',"outputs":[' + b",".join(_row_form(o.name, o.width) for o in schema.outputs) + b"]}"

    def row(self, answer: Answer, identifier: str | None) -> bytes:
        """Return what ``render`` does for one row and all outputs in JSON, by the shortest path."""
        identity = b"" if identifier is None else b',"id":' + to_json(identifier)
        outputs = self._row_outputs % tuple(numbers_json(answer.values))
        return b"%b%b,%b%b" % (self._row_start, identity, self._row_parameters[answer.source], outputs)

    def render(
        self, values: npt.NDArray[np.float32], outputs: Mapping[str, bool], sources: str, identifier: str | None
    ) -> tuple[bytes, int | None]:
        """Return the body, and how many bytes of it are JSON; None where all are.

        Args:
            values: of shape (n, width), the answers to all rows; none is at fault.
            outputs: the names of those to give, in order; each with whether as binary tensor data.
            sources: of the answers, as ``counted`` gives them.
            identifier: the request's, or None.
        """
        binary: list[bytes] = []
        tensors = []
        for name, is_binary in outputs.items():
            chosen = np.ascontiguousarray(values[:, self._schema.slices[name]], "<f4")
            tensor = _head(name, *chosen.shape)
            if is_binary:
                binary.append(chosen.tobytes())
                tensor["parameters"] = {"binary_data_size": chosen.nbytes}
            else:
                tensor["data"] = chosen.reshape(-1)
            tensors.append(tensor)
        identity = {} if identifier is None else {"id": identifier}
        head = to_json({**self._identity, **identity, **self._parameters(sources), "outputs": tensors})
        return b"".join([head, *binary]), len(head) if binary else None

    def _parameters(self, sources: str) -> dict[str, Any]:
        return {"parameters": {"source": sources, "release": self._release}}


def _head(name: str, rows: int, width: int) -> dict[str, Any]:
    return {"name": name, "datatype": FP32, "shape": [rows, width] if width > 1 else [rows]}


def _row_form(name: str, width: int) -> bytes:
    """Return an output of one row; a name is an identifier, in which nothing can be taken for a place."""
    return to_json(_head(name, 1, width))[:-1] + b',"data":[' + b",".join([b"%b"] * width) + b"]}"
