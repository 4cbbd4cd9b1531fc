"""One LiteRT interpreter, bound to a number of rows."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import BadArtifact
from engine.inputs import Inputs

# Of one row of an input, and its type.
Shape = tuple[tuple[int, ...], type[np.generic]]
_QUIET = threading.Lock()


class Interpreter:
    """Infers batches of so many rows or fewer. Not thread-safe."""

    def __init__(self, model: bytes, shapes: Mapping[str, Shape], rows: int, width: int, where: str) -> None:
        """Load the model for batches of ``rows`` rows; the arguments are as of ``Runtime``.

        Raises:
            BadArtifact: LiteRT cannot load it, or its inputs are not ``shapes``, or its output is not ``width`` wide.
        """
        # Imported here: a server with a table and no request yet should not wait for it.
        from ai_edge_litert import interpreter as litert

        try:
            self._lite = litert.Interpreter(model_content=model, num_threads=1)
            signature = self._lite.get_signature_list()
            _, names = signature.popitem()
            details = {name: self._detail(name) for name in names["inputs"]}
        except (ValueError, RuntimeError, KeyError) as error:
            message = f"{where}: must be a LiteRT model with one signature; got {error}. Export the bundle again"
            raise BadArtifact(message) from error
        if set(details) != set(shapes) or len(names["outputs"]) != 1:
            message = (
                f"{where}: must take {sorted(shapes)} and give one output; got {sorted(details)}, {names['outputs']}"
            )
            raise BadArtifact(message)
        self._staged: list[tuple[str, int, npt.NDArray[Any]]] = []
        for name, (shape, dtype) in shapes.items():
            self._lite.resize_tensor_input(details[name], (rows, *shape))
            self._staged.append((name, details[name], np.zeros((rows, *shape), dtype)))
        try:
            with _quiet():
                self._lite.allocate_tensors()
            # One call with zeros: where the graph computes a shape (as Keras's Reshape does), it is known only after.
            for _, place, staged in self._staged:
                self._lite.set_tensor(place, staged)
            self._lite.invoke()
        except (ValueError, RuntimeError) as error:
            message = f"{where}: must answer {rows} rows of zeros; got {error}. It is of other features: export again"
            raise BadArtifact(message) from error
        (output,) = self._lite.get_output_details()
        self._output = output["index"]
        if output["shape"].tolist() != [rows, width]:
            message = f"{where}: must give values of shape {(rows, width)}; got {tuple(output['shape'].tolist())}"
            raise BadArtifact(message)

    def run(self, inputs: Inputs, start: int, stop: int, values: npt.NDArray[np.float32]) -> None:
        """Infer rows ``start`` to ``stop - 1`` into the same rows of ``values``; padding is what was there before."""
        rows = stop - start
        tensors = iter(inputs.tensors)
        for name, place, staged in self._staged:
            if name == "index":
                staged[:rows] = inputs.index[:, start:stop].T
            elif name == "number":
                staged[:rows] = inputs.number[:, start:stop].T
            else:
                staged[:rows] = next(tensors)[start:stop]
            self._lite.set_tensor(place, staged)
        self._lite.invoke()
        values[start:stop] = self._lite.get_tensor(self._output)[:rows]

    def infer_row(self, inputs: Inputs) -> npt.NDArray[np.float32]:
        """Infer the only row of ``inputs`` by an interpreter of one row: nothing to cut out, nor to pad.

        Returns:
            float32 of shape (1, width).
        """
        tensors = iter(inputs.tensors)
        for name, place, _ in self._staged:
            if name == "index":
                self._lite.set_tensor(place, inputs.index.T)
            else:
                self._lite.set_tensor(place, inputs.number.T if name == "number" else next(tensors))
        self._lite.invoke()
        values: npt.NDArray[np.float32] = self._lite.get_tensor(self._output)
        return values

    def _detail(self, name: str) -> int:
        runner = self._lite.get_signature_runner()
        return int(runner.get_input_details()[name]["index"])


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep LiteRT's note that it made a delegate, which it writes past Python, out of every program's output."""
    with _QUIET:  # the descriptor is the process's: two threads at once would leave it pointing nowhere for good
        standard_error = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(standard_error, 2)
            os.close(standard_error)
            os.close(nowhere)
