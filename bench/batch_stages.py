"""Where a worker's time goes when it scores: the CPU time of a split, stage by stage, in one process."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from bench.batch_data import FEATURES, publish_net, write_rows
from bench.net import MODEL
from engine.answer_columns import answer_arrays, answer_schema
from engine.registry import Registry
from engine.storage import open_storage
from jobs.digested import DigestedWriter
from jobs.scoring.format import FormatOptions, Wanted, open_format
from jobs.scoring.row_groups import RowGroups
from jobs.scoring.task import open_writer
from jobs.scoring.worker import load_predictor

_ROWS = 2_000_000


def print_stages() -> None:
    """Score two million rows in this process and print each stage's share of the CPU time."""
    seconds: dict[str, float] = {}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        started = time.process_time()
        yield
        seconds[name] = seconds.get(name, 0.0) + time.process_time() - started

    with tempfile.TemporaryDirectory(prefix="foretable-bench-") as folder:
        registry = Registry(str(Path(folder) / "models"))
        predictor = load_predictor(registry.url, MODEL, publish_net(registry, with_table=False).number)
        source = write_rows(Path(folder) / "rows", _ROWS)
        schema = pa.schema([("id", pa.int64()), *answer_schema(predictor.schema)])
        wanted = Wanted(columns=("id", *FEATURES), texts=tuple(FEATURES), partition={})
        parquet = open_format("parquet", FormatOptions())
        storage = open_storage(str(source))
        with open_writer(DigestedWriter(io.BytesIO()), schema) as writer:
            groups = RowGroups(writer)
            for name in storage.names():
                pieces = parquet.shape(storage, name, 1 << 28).pieces
                chunks = parquet.read(storage, name, 0, len(pieces), wanted)
                while True:
                    with stage("reading Parquet"):
                        chunk = next(chunks, None)
                    if chunk is None:
                        break
                    with stage("encoding"):
                        encoded = chunk.encode(predictor.space)
                    with stage("LiteRT"):
                        answers = predictor.answer(encoded)
                    with stage("writing Parquet"):
                        arrays = [chunk.column("id"), *answer_arrays(answers, predictor.schema, 1)]
                        groups.write(pa.RecordBatch.from_arrays(arrays, schema=schema))
            with stage("writing Parquet"):
                groups.finish()
    total = sum(seconds.values())
    for name, spent in sorted(seconds.items(), key=lambda pair: -pair[1]):
        print(f"  {name:<16} {spent / total:4.0%}  {spent / _ROWS * 1e9:4.0f} ns a row", flush=True)
