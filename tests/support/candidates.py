"""Bundles and tables of ``tests.support.synthetic`` that stand before the gate, sound or with one fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.bundle import Bundle, BundleContents
from engine.codec import Codes, codec_from_json
from engine.histogram import response_histogram
from engine.manifest import new_manifest, now_text, seal, sha256
from engine.registry import ModelRegistry, Registry
from engine.runtime import Runtime
from engine.shard import write_shard
from engine.table import KIND, VERSION, TableSpec
from jobs.precompute import PrecomputeSettings, table_spec
from tests.support.synthetic import FINITE_NAME, synthetic_model, synthetic_schema, synthetic_space, wide_model

Change = Callable[[npt.NDArray[np.float32], int], npt.NDArray[np.float32]]


def models_of(root: Path) -> ModelRegistry:
    """Return the synthetic model's part of the registry in a directory."""
    return Registry(str(root)).model(FINITE_NAME)


def contents() -> BundleContents:
    """Return the contents of a sound bundle, to be changed with ``dataclasses.replace``."""
    space, schema, model = synthetic_space(), synthetic_schema(), synthetic_model()
    rows = [dict(space.row(ordinal)) for ordinal in range(0, space.size, 1_801)]  # a prime: all features turn
    answers = Runtime(model, space, schema.width).infer(space.encode_rows(rows).inputs)
    return BundleContents(
        model=FINITE_NAME,
        space=space,
        schema=schema,
        variants={"float32": model},
        golden_rows=rows,
        golden_answers=answers,
        metrics={"click.log_loss": 0.5, "click.auc": 0.75},
        histogram=response_histogram(answers, schema),
        limits={},
        time="2026-01-01T00:00:00Z",
    )


def wide_contents(**changes: object) -> BundleContents:
    """Return the contents of a bundle with an int8 variant; it errs, by less than its limit of 0.05."""
    space, schema = synthetic_space(), synthetic_schema()
    variants = {name: wide_model(name) for name in ("float32", "int8")}
    sound = contents()
    inputs = space.encode_rows(sound.golden_rows).inputs
    answers = {name: Runtime(data, space, schema.width).infer(inputs) for name, data in variants.items()}
    described = replace(
        sound,
        variants=variants,
        golden_answers=answers["float32"],
        variant_answers={"int8": answers["int8"]},
        histogram=response_histogram(answers["float32"], schema),
        limits={"variant_error": 0.05},
    )
    return replace(described, **changes)  # type: ignore[arg-type]


def write_candidate(root: Path, **changes: object) -> str:
    """Write a bundle that differs from ``contents()`` in these fields, and return its id."""
    return models_of(root).write_bundle(replace(contents(), **changes))  # type: ignore[arg-type]


def build_table(root: Path, bundle: str, *, change: Change | None = None, rows: int | None = None) -> str:
    """Write a table with valid checksums and digests, computed here, and return its key.

    Args:
        root: of the registry.
        bundle: its bundle's id.
        change: makes a shard's answers, float32 of shape (n, width), and its number into other answers.
        rows: how many rows it says it has; None is the space's size.
    """
    models = models_of(root)
    found = models.bundle(bundle)
    spec = table_spec(found, PrecomputeSettings(model=models.name, shard_rows=1))
    spec = replace(spec, rows=rows or spec.rows)
    folder = root / models.table_path(spec.key)
    folder.mkdir(parents=True)
    for number in range(spec.shards):
        with (folder / spec.shard_name(number)).open("xb") as file:
            write_shard(file, spec.layout(number), [_codes(found, spec, number, change)])
    files = {
        path.name: {"size_bytes": path.stat().st_size, "sha256": sha256(path.read_bytes())}
        for path in sorted(folder.iterdir())
    }
    manifest = new_manifest(KIND, VERSION, key=spec.key, spec=asdict(spec), files=files, time=now_text())
    (folder / "manifest.json").write_bytes(seal(manifest))
    return spec.key


def _codes(bundle: Bundle, spec: TableSpec, number: int, change: Change | None) -> Codes:
    layout = spec.layout(number)
    answers = bundle.runtime().infer(bundle.space.inputs_of(layout.first, layout.first + layout.rows))
    return codec_from_json(spec.codec).encode(change(answers, number) if change else answers)


def flip_byte(path: Path, at: int) -> None:
    """Flip one bit of a file; a negative place counts from its end."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
