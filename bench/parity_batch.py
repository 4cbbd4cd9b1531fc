"""The batch paths of the parity check: the scoring job over each input format, and the DataFrame door."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from pyarrow import orc

from bench.random_rows import RandomRows
from engine.output import OutputSchema
from engine.predictor import Predictor
from engine.registry import Registry
from jobs.runner import open_runner
from jobs.scoring.job import score
from jobs.scoring.settings import ScoreSettings

Values = npt.NDArray[np.float32]
_ROW = "row"


def batch_answers(
    registry: Registry, predictor: Predictor, rows: RandomRows, runners: Sequence[str]
) -> Iterator[tuple[str, Values]]:
    """Yield each batch path's name and its answers, float32 of shape (n, width), in the order of the rows."""
    numbered = rows.table.add_column(0, _ROW, pa.array(np.arange(len(rows.table))))
    with tempfile.TemporaryDirectory(prefix="foretable-parity-") as folder:
        for kind, write in _WRITERS.items():
            source = Path(folder) / f"rows.{kind}"
            write(numbered, source)
            for runner in runners if kind == "parquet" else ["local"]:
                target = Path(folder) / f"{kind}-{runner}"
                settings = ScoreSettings(
                    model=predictor.bundle.model,
                    input=str(source),
                    output=str(target),
                    release=predictor.release.number,
                    keep=(f"{_ROW}:int64",),
                    quiet=True,
                )
                score(registry, settings, lambda name=runner: open_runner(name, workers=2))  # type: ignore[misc]
                yield f"scoring job, {runner}, {kind}", _in_order(pq.read_table(target), predictor.schema)
        if "spark" in runners:
            yield "DataFrame door", _through_the_door(registry, predictor, Path(folder) / "rows.parquet")


def _through_the_door(registry: Registry, predictor: Predictor, source: Path) -> Values:
    from pyspark.sql import SparkSession

    from foretable.spark import score as score_frame

    rows = SparkSession.builder.getOrCreate().read.parquet(str(source))
    release = predictor.release
    scored = score_frame(rows, release.model, registry=registry.url, release=release.number, keep=[_ROW])
    return _in_order(scored.toArrow(), predictor.schema)


def _in_order(scored: pa.Table, schema: OutputSchema) -> Values:
    """Return the answers of scored rows in the order of their numbers."""
    scored = scored.sort_by(_ROW)
    columns = []
    for output in schema.outputs:
        column = scored[output.name].combine_chunks()
        values = column if output.width == 1 else column.flatten()
        columns.append(values.to_numpy(zero_copy_only=False).astype(np.float32, copy=False).reshape(-1, output.width))
    return np.concatenate(columns, axis=1)


def _write_json_lines(rows: pa.Table, path: Path) -> None:
    path.write_bytes(b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows.to_pylist()))


_WRITERS: dict[str, Callable[[pa.Table, Path], object]] = {
    "parquet": pq.write_table,
    "orc": orc.write_table,
    "csv": pacsv.write_csv,
    "jsonl": _write_json_lines,
}
