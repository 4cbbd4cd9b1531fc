from __future__ import annotations

import pytest

from bench.stream_process import check_sources, read_metrics, records_a_transaction
from engine.errors import EngineBug

TEXT = """\
# HELP foretable_stream_rows_total Rows answered and committed, by where from.
# TYPE foretable_stream_rows_total counter
foretable_stream_rows_total{source="table"} 120.0
foretable_stream_batch_records_bucket{le="+Inf"} 3.0
foretable_stream_batch_records_count 3.0
foretable_stream_batch_records_sum 1.2e+02
"""
SUM, COUNT = "foretable_stream_batch_records_sum", "foretable_stream_batch_records_count"


def test_samples_by_what_stands_before_them() -> None:
    assert read_metrics(TEXT) == {
        'foretable_stream_rows_total{source="table"}': 120,
        'foretable_stream_batch_records_bucket{le="+Inf"}': 3,
        COUNT: 3,
        SUM: 120,
    }


def test_batches_between_two_looks() -> None:
    assert records_a_transaction({SUM: 120, COUNT: 3}, {SUM: 220, COUNT: 5}) == 50


def test_no_batch_between_two_looks() -> None:
    with pytest.raises(EngineBug, match="must commit between"):
        records_a_transaction({SUM: 120, COUNT: 3}, {SUM: 120, COUNT: 3})


def test_all_rows_by_the_table() -> None:
    check_sources(read_metrics(TEXT))


@pytest.mark.parametrize(
    "line",
    [
        'foretable_stream_rows_total{source="model"} 1.0',
        'foretable_stream_dead_letters_total{disposition="poison",cause="bad_body"} 1.0',
    ],
)
def test_rows_answered_otherwise(line: str) -> None:
    with pytest.raises(EngineBug, match="all rows by the table"):
        check_sources(read_metrics(f"{TEXT}{line}\n"))
