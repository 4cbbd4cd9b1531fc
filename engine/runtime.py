"""The LiteRT runtime: model input in, float32 out, in a few fixed shapes from a bounded pool."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import BadArtifact, DeadlineExceeded
from engine.inputs import Inputs
from engine.space import FeatureSpace

# One row for a request, a few for a small body, and where LiteRT's rate has levelled off (facts: 1,024 to 4,096 rows
# run at the same rate, fewer rows slower, more rows leave the cache). Every other count is padded.
SHAPES = (1, 32, 1024)
_QUIET = threading.Lock()


class Runtime:
    """A model ready to infer. Equal rows give equal bits, whatever rows stand beside them.

    Thread-safe: at most ``threads`` callers infer at once, the others wait their turn.
    """

    def __init__(
        self, model: bytes, space: FeatureSpace, width: int, *, threads: int = 1, where: str = "model"
    ) -> None:
        """Load a model; its interpreters are made when first needed.

        Args:
            model: a LiteRT flatbuffer with one signature: inputs ``index`` (n, k), ``number`` (n, m),
                ``tensor_<name>`` (n, *shape), each only where the space has such features; one output (n, width).
            space: what the rows are of.
            width: values a row.
            threads: interpreters a shape, at most.
            where: what errors call the model.

        Raises:
            BadArtifact: LiteRT cannot load it, or its inputs or output are others.
        """
        self._model, self._where, self.width = model, where, width
        self._shapes = _input_shapes(space)
        self._pools = {rows: queue.LifoQueue[_Interpreter | None]() for rows in SHAPES}
        for pool in self._pools.values():
            for _ in range(threads):
                pool.put(None)
        self.infer(_zeros(space, 1))

    def infer(self, inputs: Inputs, *, deadline: float | None = None) -> npt.NDArray[np.float32]:
        """Return answers before the codec, float32 of shape (n, width).

        Args:
            inputs: the rows.
            deadline: an instant in ``time.time`` seconds, looked at before each call of LiteRT, which itself cannot be
                stopped; None is no deadline.

        Raises:
            DeadlineExceeded: it has passed, be it while waiting for an interpreter.
        """
        rows = len(inputs)
        values = np.empty((rows, self.width), np.float32)
        start = 0
        while start < rows:
            shape = next((shape for shape in SHAPES if rows - start <= shape), SHAPES[-1])
            # All batches of a shape in one turn: taking turns costs some 2 % of a batch.
            stop = min(start + max((rows - start) // shape, 1) * shape, rows)
            pool = self._pools[shape]
            interpreter = pool.get() if deadline is None else _wait_for(pool, deadline)
            try:
                interpreter = interpreter or _Interpreter(self._model, self._shapes, shape, self.width, self._where)
                for first in range(start, stop, shape):
                    if deadline is not None:
                        _check(deadline)
                    interpreter.run(inputs, first, min(first + shape, stop), values)
            finally:
                pool.put(interpreter)
            start = stop
        return values


def _wait_for(pool: queue.LifoQueue[_Interpreter | None], deadline: float) -> _Interpreter | None:
    try:
        return pool.get(timeout=max(deadline - time.time(), 0))
    except queue.Empty:
        raise _too_late() from None


def _check(deadline: float) -> None:
    if time.time() > deadline:
        raise _too_late()


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("the deadline has passed before the model could answer. Give more time, or ask for less")


class _Interpreter:
    """One LiteRT interpreter bound to a number of rows. Not thread-safe."""

    def __init__(self, model: bytes, shapes: dict[str, _Shape], rows: int, width: int, where: str) -> None:
        # Imported here: a server with a table and no request yet should not wait for it.
        from ai_edge_litert.interpreter import Interpreter

        try:
            self._lite = Interpreter(model_content=model, num_threads=1)
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


_Shape = tuple[tuple[int, ...], type[np.generic]]


def _input_shapes(space: FeatureSpace) -> dict[str, _Shape]:
    shapes: dict[str, _Shape] = {}
    if space.index_features:
        shapes["index"] = (len(space.index_features),), np.int32
    if space.number_features:
        shapes["number"] = (len(space.number_features),), np.float32
    shapes.update({f"tensor_{feature.name}": (feature.shape, np.float32) for feature in space.tensor_features})
    return shapes


def _zeros(space: FeatureSpace, rows: int) -> Inputs:
    return Inputs(
        np.zeros((len(space.index_features), rows), np.int32),
        np.zeros((len(space.number_features), rows), np.float32),
        tuple(np.zeros((rows, *feature.shape), np.float32) for feature in space.tensor_features),
    )
