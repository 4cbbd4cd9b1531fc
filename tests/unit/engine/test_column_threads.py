"""Many rows are encoded in threads, a column each: the result is that of few rows at a time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from engine.crew import Crew
from tests.support.synthetic import CITIES, synthetic_space


@pytest.mark.parametrize("rows, crew", [((1 << 16) + 5, None), (5000, Crew(2))])
def test_many_rows_encode_as_few_do(rows: int, crew: Crew | None) -> None:
    random = np.random.default_rng(3)
    table = pa.table(
        {
            "city": pa.array(CITIES).take(pa.array(random.integers(0, len(CITIES), rows))),
            "plan": ["7", "who?", "basic"] * (rows // 3) + ["pro"] * (rows % 3),
            "age": random.normal(50, 40, rows).astype(np.float32),
            "size": pa.array(random.integers(1, 4, rows), mask=random.random(rows) < 0.001),
        }
    )
    whole = synthetic_space().encode(table, crew)
    step = 1000
    parts = [synthetic_space().encode(table.slice(start, step)) for start in range(0, rows, step)]
    assert np.array_equal(whole.inputs.index, np.concatenate([part.inputs.index for part in parts], axis=1))
    faults = {
        number * step + row: str(error) for number, part in enumerate(parts) for row, error in part.faults.items()
    }
    assert faults
    assert {row: str(error) for row, error in whole.faults.items()} == faults
