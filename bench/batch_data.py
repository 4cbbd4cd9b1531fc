"""What the batch benchmarks score: rows of an id and six small integers, and a release of the net for them.

The features are integers that are their own indices: the case that is kindest to the peers, which need no vocabulary.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.net import MODEL, SIZES, net_bundle
from engine.codec import codec_named
from engine.feature import Categorical
from engine.manifest import now_text
from engine.registry import Registry
from engine.release import Release
from engine.space import FeatureSpace
from jobs.precompute import PrecomputeSettings, precompute
from jobs.runner import open_runner

# The last feature has as many values as make the flights model's table: 8,467,200 rows.
FEATURES = dict(zip(("carrier", "origin", "dest", "month", "weekday", "slot"), (*SIZES, 20), strict=True))
FILE_ROWS = 1_000_000


def write_rows(folder: Path, rows: int) -> Path:
    """Write a data set of whole files of a million rows and return its directory.

    Every file is the first one under another name (a hard link), so that a large data set costs no disk.
    """
    folder.mkdir(parents=True)
    first = folder / "part-00000.parquet"
    random = np.random.default_rng(7)
    columns = {name: random.integers(0, size, FILE_ROWS).astype(np.int32) for name, size in FEATURES.items()}
    pq.write_table(pa.table({"id": np.arange(FILE_ROWS), **columns}), first, row_group_size=FILE_ROWS // 4)
    for number in range(1, rows // FILE_ROWS):
        os.link(first, folder / f"part-{number:05d}.parquet")
    return folder


def publish_net(registry: Registry, *, with_table: bool) -> Release:
    """Write a release of the net, with or without its table."""
    space = FeatureSpace(
        Categorical(name, tuple(str(value) for value in range(size))) for name, size in FEATURES.items()
    )
    models = registry.model(MODEL)
    bundle = models.bundle(models.write_bundle(net_bundle(space)))
    table = None
    if with_table:
        settings = PrecomputeSettings(model=MODEL, bundle=bundle.identity, quiet=True)
        table = precompute(registry, settings, lambda: open_runner("local")).table
    return models.create_release(
        Release(
            model=MODEL,
            bundle=bundle.identity,
            bundle_digest=bundle.digest,
            variant="float32",
            codec=codec_named("float32", bundle.schema).to_json(),
            table=table,
            gate=[],
            time=now_text(),
        )
    )
