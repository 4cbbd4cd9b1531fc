"""The publish gate: what a candidate must show before a label points to it. Each check prints its figure.

A new check is one function here that returns a ``Finding``, and a line in ``run_gate``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from engine.bundle import Bundle
from engine.errors import ForetableError
from engine.histogram import stability_index
from engine.limits import GateLimits
from engine.numeric_class import TOLERANCE
from engine.predictor import Predictor
from engine.registry import ModelRegistry
from engine.table import DenseTable, TableSpec, read_table_manifest
from jobs.digested import digest_file
from jobs.variant_choice import REFERENCE, SAMPLE_ROWS, error_objections
from jobs.variant_figures import measure_variants, output_errors, sample_rows


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes:
        check: what was looked at.
        passed: whether it held.
        figure: what was found, with its unit.
        limit: what it had to be.
    """

    check: str
    passed: bool
    figure: str
    limit: str

    def __str__(self) -> str:
        """Return a line for people."""
        return f"{'pass' if self.passed else 'FAIL'}  {self.check:<24} {self.figure}  (must be {self.limit})"


@dataclass(frozen=True)
class Candidate:
    """What stands before the gate.

    Attributes:
        models: the model's part of the registry.
        predictor: the candidate, loaded as a release that has no number yet.
        production: the bundle that the label points to now, or None.
        sample_rows: how many random rows are recomputed.
        seed: of their choice.
    """

    models: ModelRegistry
    predictor: Predictor
    production: Bundle | None
    sample_rows: int = 10_000
    seed: int = 0

    @property
    def limits(self) -> GateLimits:
        """The limits that the candidate's definition declared."""
        return GateLimits.from_json(self.predictor.bundle.manifest["limits"])


# Whether it held, what was found, and what it had to be.
Finding = tuple[bool, str, str]


def run_gate(candidate: Candidate) -> Iterator[Check]:
    """Yield every check's finding, in order; a check that cannot run is one that failed."""
    table = candidate.predictor.table
    yield _checked("bundle digests", partial(_bundle_digests, candidate))
    if table:
        yield _checked("table digests", partial(_table_digests, candidate, table.spec))
        yield _checked("table blocks", partial(_table_blocks, table))
        yield _checked("table rows", partial(_table_rows, candidate, table.spec))
    yield _checked("golden rows", partial(_golden_rows, candidate))
    if table:
        yield _checked("recomputed rows", partial(_recomputed_rows, candidate, table))
    if candidate.predictor.release.variant != REFERENCE:
        yield _checked("variant error", partial(_variant_error, candidate))
        yield _checked("variant rate", partial(_variant_rate, candidate))
    yield _checked("codec error", partial(_codec_error, candidate))
    yield from _metrics(candidate)
    yield _checked("response distribution", partial(_distribution, candidate))


def _checked(name: str, check: Callable[[], Finding]) -> Check:
    try:
        return Check(name, *check())
    except (ForetableError, IndexError, KeyError) as error:  # of a table that has not the rows or files it should have
        return Check(name, passed=False, figure=f"{type(error).__name__}: {error}", limit="readable")


def _bundle_digests(candidate: Candidate) -> Finding:
    bundle = candidate.predictor.bundle
    sizes = [len(bundle.file(name)) for name in bundle.manifest["files"]]
    return True, f"{len(sizes)} files, {sum(sizes):,} bytes match", "the manifest's"


def _table_digests(candidate: Candidate, spec: TableSpec) -> Finding:
    models = candidate.models
    folder = models.table_path(spec.key)
    files = read_table_manifest(models.storage, folder)["files"]
    total = 0
    for number in range(spec.shards):
        name = spec.shard_name(number)
        wanted = files[name]["sha256"]
        size_bytes, found = digest_file(models.storage, f"{folder}/{name}")
        total += size_bytes
        if found != wanted:
            return False, f"{name} has {found[:16]}…", f"{wanted[:16]}…: precompute it again"
    return True, f"{spec.shards} shards, {total:,} bytes match", "the manifest's"


def _table_blocks(table: DenseTable) -> Finding:
    corrupt = table.check_all()
    return corrupt == 0, f"{corrupt} corrupt", "0 corrupt"


def _table_rows(candidate: Candidate, spec: TableSpec) -> Finding:
    size = candidate.predictor.space.size
    return spec.rows == size, f"{spec.rows:,}", f"{size:,}, the space's size"


def _golden_rows(candidate: Candidate) -> Finding:
    """The stored golden answers, through the codec, against every way this release answers them."""
    predictor = candidate.predictor
    rows, _ = predictor.bundle.golden_rows()
    variant = predictor.release.variant
    raw = predictor.bundle.golden_answers(variant)
    if raw is None:
        return False, f"the bundle has no golden answers of {variant}", "there: export the bundle again"
    same_class = predictor.numeric_class == predictor.bundle.numeric_class
    bulk = predictor.predict_rows(rows).values
    single = np.array([predictor.predict_row(row).values for row in rows], np.float32)
    if same_class:
        wanted = predictor.codec.decode(predictor.codec.encode(raw))
        equal = int(((bulk == wanted) & (single == wanted)).all(axis=1).sum())
        return equal == len(rows), f"{equal} of {len(rows)} equal to the bit", "all"
    error = float(max(np.abs(bulk - raw).max(), np.abs(single - raw).max()))
    allowed = TOLERANCE * max(1.0, float(np.abs(raw).max())) + 2 * float(predictor.codec.error_limits().max())
    if variant != REFERENCE:  # what differs by a rounding may fall into the next of its 8-bit steps
        allowed += max(candidate.limits.variant_limits(predictor.schema).values())
    figure = f"largest error {error:.3g} on another numeric class ({predictor.numeric_class})"
    return error <= allowed, figure, f"{allowed:.3g} or less"


def _recomputed_rows(candidate: Candidate, table: DenseTable) -> Finding:
    """Random rows of the table, computed again by the model."""
    predictor = candidate.predictor
    if table.spec.numeric_class != predictor.numeric_class:
        figure = f"the table is of {table.spec.numeric_class}, this host of {predictor.numeric_class}"
        return False, figure, "of one class: publish from a host like the workers"
    ordinals = _sample(candidate)
    values, hit = table.lookup(ordinals)
    again = predictor.infer(predictor.space.inputs_at(ordinals))
    equal = int((hit & (values.view(np.uint32) == again.view(np.uint32)).all(axis=1)).sum())
    return equal == len(ordinals), f"{equal:,} of {len(ordinals):,} equal to the bit", "all"


def _variant_error(candidate: Candidate) -> Finding:
    """The variant against float32, before the codec, on the rows of the choice at precompute: the same for all time."""
    predictor = candidate.predictor
    bundle = predictor.bundle
    sample = sample_rows(bundle, SAMPLE_ROWS)
    errors = output_errors(predictor.infer_raw(sample), bundle.runtime().infer(sample), bundle.schema)
    limits = candidate.limits.variant_limits(bundle.schema)
    worst = max(errors, key=lambda name: errors[name].largest / limits[name])
    figure = f"{errors[worst].largest:.3g} at most against float32 ({worst} of {predictor.release.variant})"
    return not error_objections(errors, limits), figure, f"{limits[worst]:.3g} or less"


def _variant_rate(candidate: Candidate) -> Finding:
    """The variant's bulk rate: as it was measured where its table was precomputed, else here."""
    predictor = candidate.predictor
    variant, limit = predictor.release.variant, "above float32's"
    if predictor.table:
        folder = candidate.models.table_path(predictor.table.spec.key)
        choice = read_table_manifest(candidate.models.storage, folder).get("choice")
        if choice:
            figure = f"{variant}: {choice['bulk_ratio']:.2f} times float32's where it was precomputed"
            if choice["override"]:
                return True, f"{figure}; overridden there: {choice['override']}", limit
            return choice["bulk_ratio"] > 1, figure, limit
    (figures,) = measure_variants(predictor.bundle, [variant], rows=1)
    return figures.bulk_ratio > 1, f"{variant}: {figures.bulk_ratio:.2f} times float32's on this host", limit


def _codec_error(candidate: Candidate) -> Finding:
    """The codec against float32, on rows of the space, or on the golden rows where it is not finite."""
    predictor = candidate.predictor
    space, codec = predictor.space, predictor.codec
    inputs = space.inputs_at(_sample(candidate)) if space.numbering else predictor.bundle.golden()[0]
    raw = predictor.infer_raw(inputs)
    errors = np.abs(codec.decode(codec.encode(raw)).astype(np.float64) - raw).max(axis=0)
    declared = candidate.limits.codec_error
    limits = np.full(len(errors), declared) if declared is not None else codec.error_limits().astype(np.float64)
    worst = int(np.argmax(errors - limits))
    figure = f"{errors[worst]:.3g} at most against float32 ({codec.name})"
    return bool((errors <= limits).all()), figure, f"{limits[worst]:.3g} or less"


def _metrics(candidate: Candidate) -> Iterator[Check]:
    metrics = candidate.predictor.bundle.manifest["metrics"]
    before = candidate.production.manifest["metrics"] if candidate.production else {}
    for name, drop in candidate.limits.metric_drop.items():
        value = metrics.get(name, math.nan)
        higher = name.endswith(("auc", "accuracy"))
        if name not in before:
            yield Check(name, math.isfinite(value), f"{value:.5f}", "a number: production has none to compare")
            continue
        limit = before[name] - drop if higher else before[name] + drop
        passed = value >= limit if higher else value <= limit
        yield Check(name, passed, f"{value:.5f}", f"{limit:.5f} or {'more' if higher else 'less'}")


def _distribution(candidate: Candidate) -> Finding:
    limit = candidate.limits.stability_index
    if candidate.production is None:
        return True, "no production to compare with", f"{limit} or less"
    index = stability_index(
        candidate.predictor.bundle.manifest["histogram"], candidate.production.manifest["histogram"]
    )
    figure = f"stability index {index:.4f} against production"
    return index <= limit, figure, f"{limit} or less"


def _sample(candidate: Candidate) -> npt.NDArray[np.int64]:
    size = candidate.predictor.space.size
    rows = min(candidate.sample_rows, size)
    return np.random.default_rng(candidate.seed).integers(0, size, rows)
