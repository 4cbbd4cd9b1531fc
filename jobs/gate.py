"""The publish gate: what a candidate must show before a label points to it. Each check prints its figure.

A new check is one function here that returns a ``Check``, and a line in ``run_gate``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.bundle import Bundle
from engine.codec import codec_from_json
from engine.errors import BadArtifact, ForetableError
from engine.histogram import stability_index
from engine.limits import GateLimits
from engine.predictor import Predictor
from engine.registry import ModelRegistry
from engine.table import DenseTable, read_table_manifest
from jobs.shard_task import digest_shard


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


def run_gate(candidate: Candidate) -> Iterator[Check]:
    """Yield every check's finding, in order; a check that cannot run is one that failed."""
    table = candidate.predictor.table
    yield _guarded("bundle digests", _bundle_digests, candidate)
    if table:
        yield _guarded("table digests", _table_digests, candidate)
        yield _guarded("table blocks", _table_blocks, candidate)
        yield _guarded("table rows", _table_rows, candidate)
    yield _guarded("golden rows", _golden_rows, candidate)
    if table:
        yield _guarded("recomputed rows", _recomputed_rows, candidate)
    yield _guarded("codec error", _codec_error, candidate)
    yield from _metrics(candidate)
    yield _guarded("response distribution", _distribution, candidate)


def _guarded(name: str, check: Callable[[Candidate], Check], candidate: Candidate) -> Check:
    try:
        return check(candidate)
    except (ForetableError, IndexError, KeyError) as error:  # of a table that has not the rows or files it should have
        return Check(name, passed=False, figure=f"{type(error).__name__}: {error}", limit="readable")


def _bundle_digests(candidate: Candidate) -> Check:
    bundle = candidate.predictor.bundle
    sizes = [len(bundle.file(name)) for name in bundle.manifest["files"]]
    return Check("bundle digests", True, f"{len(sizes)} files, {sum(sizes):,} bytes match", "the manifest's")


def _table_digests(candidate: Candidate) -> Check:
    models, table = candidate.models, _table(candidate)
    folder = models.table_path(table.spec.key)
    files = read_table_manifest(models.storage, folder)["files"]
    total = 0
    for number in range(table.spec.shards):
        name = table.spec.shard_name(number)
        entry = files[name]
        found = digest_shard(models.storage, f"{folder}/{name}", number)
        total += found.size_bytes
        if found.sha256 != entry["sha256"]:
            figure = f"{name} has {found.sha256[:16]}…"
            return Check("table digests", False, figure, f"{entry['sha256'][:16]}…: precompute it again")
    return Check("table digests", True, f"{table.spec.shards} shards, {total:,} bytes match", "the manifest's")


def _table_blocks(candidate: Candidate) -> Check:
    corrupt = _table(candidate).check_all()
    return Check("table blocks", corrupt == 0, f"{corrupt} corrupt", "0 corrupt")


def _table_rows(candidate: Candidate) -> Check:
    rows, size = _table(candidate).spec.rows, candidate.predictor.space.size
    return Check("table rows", rows == size, f"{rows:,}", f"{size:,}, the space's size")


def _golden_rows(candidate: Candidate) -> Check:
    """The stored golden answers, through the codec, against every way this release answers them."""
    predictor = candidate.predictor
    rows, raw = predictor.bundle.golden_rows()
    same_class = predictor.numeric_class == predictor.bundle.numeric_class
    wanted = predictor.codec.decode(predictor.codec.encode(raw))
    bulk = predictor.predict_rows(rows).values
    single = np.array([predictor.predict_row(row).values for row in rows], np.float32)
    if same_class:
        equal = int(((bulk == wanted) & (single == wanted)).all(axis=1).sum())
        return Check("golden rows", equal == len(rows), f"{equal} of {len(rows)} equal to the bit", "all")
    error = float(max(np.abs(bulk - raw).max(), np.abs(single - raw).max()))
    allowed = 1e-6 * max(1.0, float(np.abs(raw).max())) + 2 * float(predictor.codec.error_limits().max())
    figure = f"largest error {error:.3g} on another numeric class ({predictor.numeric_class})"
    return Check("golden rows", error <= allowed, figure, f"{allowed:.3g} or less")


def _recomputed_rows(candidate: Candidate) -> Check:
    """Random rows of the table, computed again by the model."""
    predictor, table = candidate.predictor, _table(candidate)
    if table.spec.numeric_class != predictor.numeric_class:
        figure = f"the table is of {table.spec.numeric_class}, this host of {predictor.numeric_class}"
        return Check("recomputed rows", False, figure, "of one class: publish from a host like the workers")
    ordinals = _sample(candidate)
    values, hit = table.lookup(ordinals)
    digits = predictor.space.numbering
    if digits is None:
        message = "the space of a model with a table must be finite"
        raise BadArtifact(message)
    again = predictor.infer(digits.inputs(ordinals))
    equal = int((hit & (values.view(np.uint32) == again.view(np.uint32)).all(axis=1)).sum())
    return Check("recomputed rows", equal == len(ordinals), f"{equal:,} of {len(ordinals):,} equal to the bit", "all")


def _codec_error(candidate: Candidate) -> Check:
    """The codec against float32, on rows of the space, or on the golden rows where it is not finite."""
    predictor = candidate.predictor
    numbering = predictor.space.numbering
    inputs = numbering.inputs(_sample(candidate)) if numbering else predictor.bundle.golden()[0]
    raw = predictor.infer_raw(inputs)
    codec = codec_from_json(predictor.release.codec)
    errors = np.abs(codec.decode(codec.encode(raw)).astype(np.float64) - raw).max(axis=0)
    declared = candidate.limits.codec_error
    limits = np.full(len(errors), declared) if declared is not None else codec.error_limits().astype(np.float64)
    worst = int(np.argmax(errors - limits))
    figure = f"{errors[worst]:.3g} at most against float32 ({codec.name})"
    return Check("codec error", bool((errors <= limits).all()), figure, f"{limits[worst]:.3g} or less")


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


def _distribution(candidate: Candidate) -> Check:
    limit = candidate.limits.stability_index
    if candidate.production is None:
        return Check("response distribution", True, "no production to compare with", f"{limit} or less")
    index = stability_index(
        candidate.predictor.bundle.manifest["histogram"], candidate.production.manifest["histogram"]
    )
    figure = f"stability index {index:.4f} against production"
    return Check("response distribution", index <= limit, figure, f"{limit} or less")


def _sample(candidate: Candidate) -> npt.NDArray[np.int64]:
    size = candidate.predictor.space.size
    rows = min(candidate.sample_rows, size)
    return np.random.default_rng(candidate.seed).integers(0, size, rows)


def _table(candidate: Candidate) -> DenseTable:
    if candidate.predictor.table is None:
        message = "the candidate must have a table"
        raise BadArtifact(message)
    return candidate.predictor.table
