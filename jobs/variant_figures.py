"""What each LiteRT variant of a bundle costs on this host and how far it is from float32: measured, nothing decided."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import numpy.typing as npt

from engine.bundle import Bundle
from engine.inputs import Inputs
from engine.output import OutputSchema
from engine.runtime import SHAPES, Runtime
from engine.space import FeatureSpace

Values = npt.NDArray[np.float32]

# A turn of one variant: shorter, and the clock and the first touch of the cache show; longer, and a slow spell of the
# machine falls on one variant and not on the other.
_TURN_S = 0.01
# The median of so many ratios moves by about a hundredth on a busy machine. A slow model stops earlier, by the budget.
_ROUNDS, _LEAST_ROUNDS, _BUDGET_S = 25, 5, 5.0
_SINGLE_ROWS = 64
_MOST_BATCHES = 64


@dataclass(frozen=True)
class OutputError:
    """How far one output is from float32's, in its unit: the largest and the mean absolute error of its values."""

    largest: float
    mean: float


@dataclass(frozen=True, kw_only=True)
class VariantFigures:
    """What was measured of one variant.

    Attributes:
        variant: its name.
        size_bytes: of its flatbuffer.
        row_median_us: of one row alone.
        row_p99_us: the same, 99th percentile.
        bulk_rows_per_s: in batches of the runtime's largest shape, on one thread.
        bulk_ratio: how many times float32's rate that is: the median over rounds in which both took their turn.
        errors: against float32, by output.
    """

    variant: str
    size_bytes: int
    row_median_us: float
    row_p99_us: float
    bulk_rows_per_s: float
    bulk_ratio: float
    errors: Mapping[str, OutputError]


def measure_variants(bundle: Bundle, variants: Sequence[str], *, rows: int) -> list[VariantFigures]:
    """Measure variants against float32 and, for the errors, on the golden rows and ``rows`` random ones.

    Args:
        bundle: whose variants.
        variants: their names; float32 takes its turns whether or not it is among them.
        rows: how many random rows.

    Raises:
        BadSettings: the bundle has no variant of a name.
        BadArtifact: a file is damaged.
    """
    runtimes = {name: bundle.runtime(name) for name in dict.fromkeys(("float32", *variants))}
    sample = sample_rows(bundle, rows)
    wanted = runtimes["float32"].infer(sample)
    timed = _Turns(runtimes, sample)
    timed.take()
    return [
        VariantFigures(
            variant=name,
            size_bytes=bundle.manifest["files"][bundle.manifest["variants"][name]]["size_bytes"],
            row_median_us=float(np.median(timed.row_us[name])),
            row_p99_us=float(np.percentile(timed.row_us[name], 99)),
            bulk_rows_per_s=timed.bulk_rows / median(timed.bulk_s[name]),
            bulk_ratio=timed.ratio(name),
            errors=output_errors(runtimes[name].infer(sample), wanted, bundle.schema),
        )
        for name in variants
    ]


def sample_rows(bundle: Bundle, rows: int, *, seed: int = 0) -> Inputs:
    """Return the bundle's golden rows and so many random ones: the same for the same bundle, number and seed.

    Rows of a finite space are drawn from it. Of another one each feature takes the value of a golden row drawn for it
    alone, since what its numbers and tensors are like is known from nothing else.
    """
    golden, _ = bundle.golden()
    random = np.random.default_rng(seed)
    if bundle.space.numbering:
        drawn = bundle.space.inputs_at(random.integers(0, bundle.space.size, rows))
    else:
        drawn = _recombined(golden, bundle.space, rows, random)
    return Inputs(
        np.concatenate([golden.index, drawn.index], axis=1),
        np.concatenate([golden.number, drawn.number], axis=1),
        tuple(np.concatenate(pair) for pair in zip(golden.tensors, drawn.tensors, strict=True)),
    )


def output_errors(found: Values, wanted: Values, schema: OutputSchema) -> dict[str, OutputError]:
    """Return each output's error; float32 of shape (n, width), n at least 1. NaN where an answer is not finite."""
    off = np.abs(found.astype(np.float64) - wanted)
    return {
        name: OutputError(float(off[:, columns].max()), float(off[:, columns].mean()))
        for name, columns in schema.slices.items()
    }


class _Turns:
    """The timing of several runtimes that take turns, in alternating order, so that a slow spell hits all of them.

    Attributes:
        bulk_rows: in one turn.
        bulk_s: by variant: seconds of each turn.
        row_us: by variant: microseconds of each single row.
    """

    def __init__(self, runtimes: Mapping[str, Runtime], sample: Inputs) -> None:
        self._runtimes = runtimes
        place = np.arange(SHAPES[-1]) % len(sample)
        batch = sample.take(place)
        for runtime in runtimes.values():  # makes the interpreters
            runtime.infer(batch)
        once_s = _seconds(runtimes["float32"], batch)
        self.bulk_rows = SHAPES[-1] * min(max(round(_TURN_S / once_s), 1), _MOST_BATCHES)
        self._bulk = sample.take(np.arange(self.bulk_rows) % len(sample))
        self._singles = [sample.take(slice(row, row + 1)) for row in range(min(_SINGLE_ROWS, len(sample)))]
        self.bulk_s: dict[str, list[float]] = {name: [] for name in runtimes}
        self.row_us: dict[str, list[float]] = {name: [] for name in runtimes}

    def take(self) -> None:
        """Take all turns."""
        started = time.perf_counter()
        for number in range(_ROUNDS):
            if number >= _LEAST_ROUNDS and time.perf_counter() - started > _BUDGET_S:
                return
            for name in list(self._runtimes)[:: -1 if number % 2 else 1]:
                runtime = self._runtimes[name]
                self.bulk_s[name].append(_seconds(runtime, self._bulk))
                self.row_us[name] += [_seconds(runtime, row) * 1e6 for row in self._singles]

    def ratio(self, name: str) -> float:
        """Return how many times float32's bulk rate a variant's is: the median of the rounds' ratios."""
        pairs = zip(self.bulk_s["float32"], self.bulk_s[name], strict=True)
        return median(reference / own for reference, own in pairs)


def _seconds(runtime: Runtime, inputs: Inputs) -> float:
    started = time.perf_counter()
    runtime.infer(inputs)
    return time.perf_counter() - started


def _recombined(golden: Inputs, space: FeatureSpace, rows: int, random: np.random.Generator) -> Inputs:
    def drawn() -> npt.NDArray[np.int64]:
        return random.integers(0, len(golden), rows)

    index = [column[drawn()] for column in golden.index]
    number = [column[drawn()] for column in golden.number]
    return Inputs(
        np.array(index, np.int32).reshape(len(space.index_features), rows),
        np.array(number, np.float32).reshape(len(space.number_features), rows),
        tuple(tensor[drawn()] for tensor in golden.tensors),
    )
