"""The LiteRT runtime: model input in, float32 out, in a few fixed shapes from a bounded pool."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import numpy as np
import numpy.typing as npt

from engine.crew import Crew, cores
from engine.inputs import Inputs
from engine.interpreter import Interpreter, Shape
from engine.interpreter_pool import InterpreterPool, too_late
from engine.space import FeatureSpace

# One row for a request, a few for a small body, and where LiteRT's rate has levelled off (facts: 1,024 to 4,096 rows
# run at the same rate, fewer rows slower, more rows leave the cache). Every other count is padded.
SHAPES = (1, 32, 1024)
FEW_ROWS = SHAPES[1]
# How much of the largest shape must be rows: fewer take less time in batches of 32 than in one that is mostly padding,
# even by a small net. The larger the net, the more they save.
_LEAST_FULL = 3 / 8


class Runtime:
    """A model ready to infer. Equal rows give equal bits, whatever rows stand beside them.

    Thread-safe: at most ``threads`` batches of a shape are inferred at once, and callers wait their turn. One who has
    several batches gets the interpreters that are idle beside its own, as long as nobody waits for them.

    Attributes:
        width: values a row.
        crew: the threads that take a caller's batches, for what else its rows need.
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
        self.width = width
        self.crew = Crew(min(threads, cores()))
        shapes = _input_shapes(space)
        self._pools = {
            rows: InterpreterPool(partial(Interpreter, model, shapes, rows, width, where), threads) for rows in SHAPES
        }
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
        if len(inputs) == 1:
            return self._infer_row(inputs, deadline)
        values = np.empty((len(inputs), self.width), np.float32)
        for starts in _turns(len(inputs)):
            self._take_turn(starts, inputs, values, deadline)
        return values

    def infer_few(self, inputs: Inputs) -> npt.NDArray[np.float32] | None:
        """As ``infer``, of ``FEW_ROWS`` rows or fewer; None where no interpreter is ready: this never waits."""
        pool = self._pools[FEW_ROWS]
        idle = pool.take_idle(make=False)
        if idle is None:
            return None
        values = np.empty((len(inputs), self.width), np.float32)
        try:
            idle.run(inputs, 0, len(inputs), values)
        finally:
            pool.put(idle)
        return values

    def _infer_row(self, inputs: Inputs, deadline: float | None) -> npt.NDArray[np.float32]:
        pool = self._pools[1]
        own = pool.take(deadline)
        try:
            if deadline is not None and time.time() > deadline:
                raise too_late()
            return own.infer_row(inputs)
        finally:
            pool.put(own)

    def _take_turn(
        self, starts: range, inputs: Inputs, values: npt.NDArray[np.float32], deadline: float | None
    ) -> None:
        """Infer batches of one shape, with the interpreters that are idle beside the caller's own."""
        pool = self._pools[starts.step]
        left = iter(starts)  # a step is one call into C: no two threads get the same batch
        own = pool.take(deadline)

        def run(interpreter: Interpreter) -> None:
            for start in left:
                if deadline is not None and time.time() > deadline:
                    raise too_late()
                interpreter.run(inputs, start, min(start + starts.step, starts.stop), values)
                if pool.awaited and interpreter is not own:
                    return

        def help_out() -> None:
            idle = pool.take_idle()
            if idle is not None:
                try:
                    run(idle)
                finally:
                    pool.put(idle)

        try:
            # Asking for help takes as long as a batch of the smaller shapes.
            if starts.step == SHAPES[-1] and len(starts) > 1:
                self.crew.share(partial(run, own), help_out, helpers=len(starts) - 1)
            else:
                run(own)
        finally:
            pool.put(own)


def _turns(rows: int) -> Iterator[range]:
    """Yield where the batches of one shape start, which is the range's step; the last one may have fewer rows.

    All batches of a shape are one turn: taking turns costs some 2 % of a batch.
    """
    few, many = SHAPES[1:]
    rest = rows % many
    if rest > many * _LEAST_FULL:
        rest = 0
    if rows > rest:
        yield range(0, rows - rest, many)
    if rest:
        yield range(rows - rest, rows, few if rest > 1 else 1)


def _input_shapes(space: FeatureSpace) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
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
