"""Data sets of the synthetic model's rows in every format, and what a scoring job must make of them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from pyarrow import orc

from engine.predictor import Predictor
from engine.registry import Registry
from jobs.scoring.job import Scored, score
from jobs.scoring.settings import ScoreSettings
from tests.support.inline_runner import InlineRunner
from tests.support.synthetic import FINITE_NAME, synthetic_space

Row = dict[str, Any]
COLUMNS = ("id", "city", "plan", "age", "size", "note")
# Rows of a Parquet row group: several splits need several groups.
GROUP_ROWS = 50


def good_rows(count: int, first: int = 0) -> list[Row]:
    """Rows that are scored, every ninth by the model, with an id and a column that is no feature."""
    space = synthetic_space()
    rows: list[Row] = []
    for number in range(first, first + count):
        row: Row = {"id": number, **space.row(number * 7919 % space.size), "note": f"note, {number}"}
        rows.append({**row, "plan": "nobody's"} if number % 9 == 0 else row)
    return rows


def encode(kind: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = COLUMNS) -> bytes:
    """Return the bytes of a file of rows."""
    if kind == "jsonl":
        return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
    if kind == "csv":
        text = io.StringIO(newline="")
        csv.writer(text).writerows([columns, *([row[name] for name in columns] for row in rows)])
        return text.getvalue().encode()
    table = pa.Table.from_pylist([{name: row[name] for name in columns} for row in rows])
    file = io.BytesIO()
    if kind == "orc":
        orc.write_table(table, file)
    else:
        pq.write_table(table, file, row_group_size=GROUP_ROWS, write_page_checksum=True)
    return file.getvalue()


def write_input(root: Path, kind: str, files: Mapping[str, Sequence[Mapping[str, Any]]]) -> Path:
    """Write a data set: rows by the path of their file without its suffix."""
    for name, rows in files.items():
        path = root / f"{name}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(kind, rows))
    return root


def score_inline(
    registry: Path, source: Path, output: Path, runner: type[InlineRunner] = InlineRunner, **settings: Any
) -> Scored:
    """Score in this process, in splits of one row group."""
    wanted = ScoreSettings(model=FINITE_NAME, input=str(source), output=str(output), quiet=True)
    wanted = replace(wanted, size=replace(wanted.size, rows=GROUP_ROWS))
    return score(Registry(str(registry)), replace(wanted, **settings), runner)


def read_scores(output: Path) -> list[Row]:
    """Return the scored rows as a plain reader finds them, by id."""
    table = pads.dataset(output, partitioning=pads.partitioning(flavor="hive")).to_table()
    found: list[Row] = sorted(table.to_pylist(), key=lambda row: row["id"])
    return found


def read_quarantine(output: Path) -> list[Row]:
    """Return the quarantined rows, by file and place."""
    files = sorted((output / "_quarantine").glob("*.parquet"))
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    found: list[Row] = sorted(rows, key=lambda row: (row["file"], row["row"] or 0, row["byte_offset"] or 0))
    return found


def expected_scores(registry: Path, rows: Sequence[Row]) -> list[Row]:
    """Return id and answers of good rows as the predictor gives them, row by row, by id."""
    predictor = Predictor.open(str(registry), FINITE_NAME)
    names = predictor.space.names
    answers = predictor.predict_rows([{name: row[name] for name in names} for row in rows])
    assert not answers.faults
    values = answers.values.tolist()
    sources = ["table" if source == 1 else "model" for source in answers.source]
    scores = [
        {"id": int(row["id"]), "click": answer[0], "share": answer[1:], "source": source, "release": 1}
        for row, answer, source in zip(rows, values, sources, strict=True)
    ]
    return sorted(scores, key=lambda row: row["id"])


def same_bits(found: Sequence[Row], expected: Sequence[Row]) -> bool:
    """Whether rows have the answers expected of them, to the bit, and there are no others."""
    names = ("id", "click", "share", "source", "release")
    narrowed = [{name: row[name] for name in names} for row in found]
    return narrowed == list(expected) and _bits(found) == _bits(expected)


def _bits(rows: Sequence[Row]) -> bytes:
    return np.array([[row["click"], *row["share"]] for row in rows], np.float32).tobytes()


def content(output: Path) -> dict[str, str]:
    """All that an output is: its files' digests, less the time of its manifest."""
    found = {
        str(path.relative_to(output)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in output.rglob("*")
        if path.is_file()
    }
    manifest = json.loads((output / "_manifest.json").read_bytes())
    del manifest["time"], manifest["sha256"]  # the seal covers the time
    return {**found, "_manifest.json": json.dumps(manifest)}


def stamps(output: Path) -> dict[str, tuple[int, int]]:
    """When each file was written, and where."""
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in output.rglob("*")}
