"""Requests from the shell: rows read, answers matched, latencies told."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from engine.errors import BadSettings, InvalidInput
from streaming.asking.latency import latency_text, percentile
from streaming.asking.matching import CORRELATION, Matching, answer_line
from streaming.asking.partitioner import murmur2, partition_of
from streaming.asking.rows import Asked, Reader
from streaming.record import Partition, Record
from tests.support.letters import as_read, asked, letter
from tests.support.stream_records import arrow


def prediction(name: bytes, value: bytes = b"{}") -> Record:
    headers = (("traceparent", b"0"), (CORRELATION, name))
    return Record(Partition("predictions", 0), 0, -1, None, value, headers)


def test_answers_come_in_the_order_of_requests() -> None:
    matching = Matching()
    first, second, third = (matching.begin(10.0) for _ in range(3))
    assert len({first, second, third}) == 3
    assert matching.answer(prediction(second, b"2"), 10.25)
    assert list(matching.lines()) == []
    assert matching.answer(prediction(first, b"1"), 10.5)
    assert list(matching.lines()) == [b"1", b"2"]
    assert matching.waiting == 1
    assert list(matching.lines(final=True)) == [b'{"missing":true}']
    counts = matching.counts
    assert (counts.sent, counts.answered, counts.dead, counts.missing) == (3, 2, 0, 1)
    assert counts.latencies_s == [0.25, 0.5]


def test_answers_of_others_and_second_ones_count_for_nothing() -> None:
    matching, other = Matching(), Matching()
    name = matching.begin(0.0)
    assert not matching.answer(prediction(other.begin(0.0)), 1.0)
    assert not matching.answer(prediction(b""), 1.0)
    assert not matching.answer(prediction(name)._replace(headers=((CORRELATION, None),)), 1.0)
    assert matching.answer(prediction(name), 1.0)
    assert not matching.answer(prediction(name), 2.0)
    assert (matching.counts.answered, matching.counts.repeated) == (1, 1)


def test_a_dead_letter_is_no_answer() -> None:
    matching = Matching()
    made = as_read(letter(asked("requests", 7)))
    assert matching.bury(made._replace(headers=(*made.headers[1:], (CORRELATION, matching.begin(0.0)))), 1.0)
    (line,) = map(json.loads, matching.lines())
    assert line["dead_letter"]["cause"] == "unknown_category"
    assert (matching.counts.dead, matching.counts.missing, matching.counts.latencies_s) == (1, 0, [])


def test_an_answer_is_one_line() -> None:
    assert answer_line(prediction(b"", b'{"a":1.10}')) == b'{"a":1.10}'
    assert answer_line(prediction(b"", b'{\n"a": 1}')) == b'{"a":1}'
    assert json.loads(answer_line(prediction(b"", arrow([{"click": 0.5}] * 2)))) == {
        "predictions": [{"click": 0.5}] * 2
    }
    assert b"unreadable" in answer_line(prediction(b"", arrow([{"click": 0.5}])[:-9]))


@pytest.mark.parametrize(
    "key, expected",  # from Kafka's own UtilsTest
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_keys_go_where_kafka_puts_them(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected % (1 << 32)
    assert partition_of(key, 7) == (expected & 0x7FFFFFFF) % 7


def test_percentiles() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert [percentile(ordered, percent) for percent in (50, 90, 99, 100)] == [50.0, 90.0, 99.0, 100.0]
    assert percentile([3.0], 1) == 3.0


HISTOGRAM = """\
p50 4.0 ms, p90 40.0 ms, p99 40.0 ms, max 40.0 ms
        ≤ 2 ms         1  ██████████
        ≤ 5 ms         4  ████████████████████████████████████████
       ≤ 10 ms         0
       ≤ 20 ms         0
       ≤ 50 ms         1  ██████████"""


def test_the_histogram() -> None:
    assert latency_text([0.04, 0.004, 0.002, 0.004, 0.005, 0.0021]) == HISTOGRAM
    assert latency_text([10_000.0]).endswith("> 5,000,000 ms         1  " + "█" * 40)


def rows(path: Path, content: str, **options: object) -> list[Asked]:
    path.write_text(content, encoding="utf-8")
    settings = {"rows_a_record": 1, "arrow": False, "key": None, **options}
    return list(Reader(str(path), **settings).requests())  # type: ignore[arg-type]


def test_lines_go_as_they_are(tmp_path: Path) -> None:
    content = '{"a": 1.10}\n\n {"a": 12345678901234567890123}\r\n{"a": NaN}'
    single = rows(tmp_path / "rows", content)
    assert [each.value for each in single] == [b'{"a": 1.10}', b'{"a": 12345678901234567890123}', b'{"a": NaN}']
    several = rows(tmp_path / "rows", content, rows_a_record=2)
    assert [(each.value[:1], each.rows) for each in several] == [(b"[", 2), (b"[", 1)]
    assert several[0].value == b'[{"a": 1.10},{"a": 12345678901234567890123}]'


def test_the_key_is_the_features_text(tmp_path: Path) -> None:
    content = '{"a": "São"}\n{"a": 7}\n{"a": true}\n'
    assert [each.key for each in rows(tmp_path / "rows", content, key="a")] == ["São".encode(), b"7", b"true"]
    with pytest.raises(InvalidInput, match="line 1 must have the key's feature 'b'; got a"):
        rows(tmp_path / "rows", content, key="b")


def test_rows_as_arrow(tmp_path: Path) -> None:
    (one,) = rows(tmp_path / "rows", '{"a": 1}\n{"a": 2}\n', rows_a_record=5, arrow=True)
    assert pa.ipc.open_stream(one.value).read_all().to_pylist() == [{"a": 1}, {"a": 2}]
    with pytest.raises(InvalidInput, match="lines 1 to 2: must be columns of one type each"):
        rows(tmp_path / "rows", '{"a": 1}\n{"a": "b"}\n', rows_a_record=5, arrow=True)


def test_input_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="line 2 must be a JSON object, a row; got a number"):
        rows(tmp_path / "rows", "{}\n3\n")
    with pytest.raises(BadSettings, match="must be a file that can be read, or -"):
        list(Reader(str(tmp_path), rows_a_record=1, arrow=False, key=None).requests())
    with pytest.raises(BadSettings, match="Parquet must go as Arrow"):
        Reader("rows.parquet", rows_a_record=1, arrow=False, key=None)
