"""The peer of a precompute: LiteRT alone, batches of 1,024 rows that lie in memory, answers thrown away."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from bench.net import net_bytes, net_space

_BATCH_ROWS = 1024
# Decoded outside the timing, so many rows at a time that the memory is not what is measured.
_DECODED_ROWS = 1 << 18


def bare_seconds(rows: int, *, processes: int) -> float:
    """Return how long that many processes infer, each its part of the first ``rows`` rows of the net's space."""
    part = rows // processes
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("forkserver")) as pool:
        starts = [number * part for number in range(processes)]
        return max(pool.map(infer_part, [rows] * processes, starts, [start + part for start in starts]))


def infer_part(rows: int, start: int, stop: int) -> float:
    """Infer the rows of ordinals ``start`` to ``stop - 1``; return the seconds that LiteRT took, data at hand."""
    from ai_edge_litert.interpreter import Interpreter

    space = net_space(rows)
    interpreter = Interpreter(model_content=net_bytes(), num_threads=1)
    (given,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(given["index"], (_BATCH_ROWS, len(space.names)))
    interpreter.allocate_tensors()
    (output,) = interpreter.get_output_details()
    seconds = 0.0
    for first in range(start, stop - _BATCH_ROWS + 1, _DECODED_ROWS):
        index = np.ascontiguousarray(space.inputs_of(first, min(first + _DECODED_ROWS, stop)).index.T)
        began = time.perf_counter()
        for at in range(0, len(index) - _BATCH_ROWS + 1, _BATCH_ROWS):
            interpreter.set_tensor(given["index"], index[at : at + _BATCH_ROWS])
            interpreter.invoke()
            interpreter.get_tensor(output["index"])
        seconds += time.perf_counter() - began
    return seconds
