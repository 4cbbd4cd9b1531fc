"""Errors that outlive the rows they are about."""

from __future__ import annotations

import pyarrow as pa

from tests.support.synthetic import numbers_space, synthetic_space


def test_the_errors_of_a_batch_keep_nothing_of_it() -> None:
    """Through tracebacks they would keep its values and frames, in a cycle: bad rows would fill the memory."""
    rows: list[dict[str, object]] = [
        {"city": "Atlantis", "plan": "pro", "age": 1, "size": 1},
        {"city": "city 3", "plan": "pro", "age": "old", "size": 1},
        {"city": "city 3", "plan": None, "age": None, "size": 1},
        {"city": "city 3"},
    ]
    errors = [
        *synthetic_space().encode_rows(rows).faults.values(),
        *synthetic_space()
        .encode(pa.Table.from_pylist([{**row, "age": str(row.get("age"))} for row in rows]))
        .faults.values(),
        *numbers_space().encode_rows([{"price": "x", "plan": "pro", "vector": [[1]], "distance": 1}]).faults.values(),
    ]
    assert len(errors) == 9
    for error in errors:
        assert (error.__traceback__, error.__context__) == (None, None)
