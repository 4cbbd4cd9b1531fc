from __future__ import annotations

import numpy as np
import pyarrow as pa

from engine.answer import Answers, Source
from engine.answer_columns import answer_arrays, answer_schema
from engine.errors import InvalidInput
from tests.support.synthetic import synthetic_schema


def batch(answers: Answers, prefix: str = "") -> pa.RecordBatch:
    schema = synthetic_schema()
    arrays = answer_arrays(answers, schema, 12)
    return pa.RecordBatch.from_arrays(arrays, schema=answer_schema(schema, prefix))


def answers(*sources: Source) -> Answers:
    rows = len(sources)
    values = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3) / np.float32(3)
    faults = {row: InvalidInput("bad") for row, source in enumerate(sources) if source is Source.NONE}
    values[list(faults)] = np.nan
    return Answers(values, np.array(sources, np.uint8), faults)


def test_columns() -> None:
    schema = answer_schema(synthetic_schema(), "my_")
    assert schema.names == ["my_click", "my_share", "my_source", "my_release"]
    kinds = [pa.float32(), pa.list_(pa.float32(), 2), pa.dictionary(pa.int8(), pa.string()), pa.int32()]
    assert schema.types == kinds


def test_values_are_the_answers_bits() -> None:
    given = answers(Source.TABLE, Source.MODEL, Source.DEFAULT)
    found = batch(given)
    assert np.array_equal(found.column("click").to_numpy(), given.values[:, 0])
    assert found.column("share").to_pylist() == given.values[:, 1:].tolist()
    assert found.column("source").to_pylist() == ["table", "model", "default"]
    assert found.column("release").to_pylist() == [12, 12, 12]
    assert sum(column.null_count for column in found.columns) == 0


def test_a_row_at_fault_has_nulls_and_moves_no_other() -> None:
    given = answers(Source.NONE, Source.TABLE, Source.NONE, Source.MODEL)
    rows = batch(given).to_pylist()
    assert rows[0] == rows[2] == {"click": None, "share": None, "source": None, "release": None}
    assert rows[3]["share"] == given.values[3, 1:].tolist()
    assert (rows[1]["click"], rows[1]["source"]) == (given.values[1, 0], "table")


def test_no_rows() -> None:
    assert batch(answers()).num_rows == 0
