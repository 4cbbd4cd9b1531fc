from __future__ import annotations

import json
import sys
import time
from collections import Counter
from types import FrameType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.answer import Source
from engine.space import FeatureSpace
from streaming.answering import Answered, answer
from streaming.deadline import DEADLINE_HEADER
from streaming.record import UNREADABLE, Partition, Record
from streaming.streamed import Streamed
from tests.support.stream_records import BAD, MISS, ROW, arrow, record
from tests.support.synthetic import FINITE_NAME


def answered(release: Streamed, *values: Any, late: str = "default", headers: Any = ()) -> Answered:
    records = [record(value, 10 + place, partition=place % 2, headers=headers) for place, value in enumerate(values)]
    return answer(records, release, max_rows=100, late=late)


def bits(outputs: dict[str, Any]) -> bytes:
    return np.array([outputs["click"], *outputs["share"]], np.float32).tobytes()


def wanted(release: Streamed, row: dict[str, Any]) -> bytes:
    return release.predictor.infer(release.predictor.space.encode_row(row)).tobytes()


def document(value: bytes | None) -> Any:
    assert value is not None
    return json.loads(value)


def test_a_row_says_what_it_is_and_what_it_answers(release: Streamed) -> None:
    found = answered(release, ROW, MISS, ROW)
    told = [document(value) for value in found.predictions]
    for place, (each, source) in enumerate(zip(told, ("table", "model", "table"), strict=True)):
        assert bits(each.pop("outputs")) == wanted(release, (ROW, MISS, ROW)[place])
        assert each == {
            "model": FINITE_NAME,
            "release": 1,
            "source": source,
            "request": {"topic": "requests", "partition": place % 2, "offset": 10 + place},
        }
    assert (found.rows, found.refused) == (3, {})
    assert found.sources == {Source.TABLE: 2, Source.MODEL: 1}


def test_bad_ones_fail_alone(release: Streamed) -> None:
    found = answered(release, ROW, BAD, b"{", None, MISS)
    assert [value is None for value in found.predictions] == [False, True, True, True, False]
    told = {place: (each.error.cause, each.disposition) for place, each in found.refused.items()}
    assert told == {
        1: ("unknown_category", "poison"),
        2: ("bad_body", "poison"),
        3: ("no_value", "poison"),
    }
    assert bits(document(found.predictions[4])["outputs"]) == wanted(release, MISS)


def test_many_rows_have_their_faults_beside_them(release: Streamed) -> None:
    found = document(answered(release, [ROW, BAD, MISS]).predictions[0])
    first, second, third = found["predictions"]
    assert (first["source"], third["source"]) == ("table", "model")
    assert [bits(each["outputs"]) for each in (first, third)] == [wanted(release, ROW), wanted(release, MISS)]
    assert (second["fault"]["cause"], second["fault"]["feature"]) == ("unknown_category", "city")
    assert found["request"]["offset"] == 10


def test_arrow_is_answered_in_arrow(release: Streamed) -> None:
    found = answered(release, arrow([ROW, BAD, MISS]), ROW)
    value = found.predictions[0]
    assert value is not None
    rows = pa.ipc.open_stream(value).read_all().to_pylist()
    assert [row["source"] for row in rows] == ["table", None, "model"]
    assert [bits(row) for row in (rows[0], rows[2])] == [wanted(release, ROW), wanted(release, MISS)]
    assert (rows[1]["fault"]["feature"], rows[0]["release"]) == ("city", 1)
    assert found.rows == 4


REQUESTS = [ROW, MISS, BAD, [ROW], [BAD, MISS, BAD], [BAD], b"{", None, arrow([ROW, BAD]), [[ROW]], {**ROW, "x": 1}]


@given(chosen=st.lists(st.sampled_from(REQUESTS), max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_is_in_company_what_it_is_alone(release: Streamed, chosen: list[Any]) -> None:
    together = answered(release, *chosen)
    rows, sources = 0, Counter[Source]()
    for place, value in enumerate(chosen):
        request = record(value, 10 + place, partition=place % 2)
        alone = answer([request], release, max_rows=100, late="default")
        assert alone.predictions == [together.predictions[place]]
        assert list(map(str, alone.refused.values())) == [
            str(why) for at, why in together.refused.items() if at == place
        ]
        assert (0 in alone.streams) == (place in together.streams)
        rows += alone.rows
        sources.update(alone.sources)
    assert (together.rows, together.sources) == (rows, sources)
    assert together.refused.keys() == {place for place, value in enumerate(together.predictions) if value is None}


@pytest.mark.parametrize("headers", [(), (("correlation-id", b"c"),)])
def test_plain_requests_are_answered_without_a_call_of_python_each(release: Streamed, headers: Any) -> None:
    few, many = ([record(ROW, place, headers=headers) for place in range(rows)] for rows in (100, 1100))
    assert calls(many, release) < calls(few, release) + 100  # a garbage collection may call some, too


def calls(requests: list[Record], release: Streamed) -> int:
    """Return how many functions of Python are called while requests are answered."""
    count = 0

    def watch(_: FrameType, event: str, __: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(watch)
    try:
        answer(requests, release, max_rows=1, late="default")
    finally:
        sys.setprofile(None)
    return count


def test_names_and_topics_of_any_letters(release: Streamed) -> None:
    """All that is text is printed once for many, so that none of it may be taken for a form."""
    topic = 'a%b "{}" é'
    requests = [record(ROW, 1 << 40)._replace(partition=Partition(topic, number)) for number in (0, 7, 0)]
    found = answer(requests, release, max_rows=1, late="default")
    told = [document(value)["request"] for value in found.predictions]
    assert told == [{"topic": topic, "partition": number, "offset": 1 << 40} for number in (0, 7, 0)]


@pytest.mark.parametrize("default", [None, [[0.5, 0.25, 0.75]]])
@pytest.mark.parametrize("late", ["default", "dead-letter"])
def test_one_whose_deadline_has_passed(
    release: Streamed, monkeypatch: pytest.MonkeyPatch, default: Any, late: str
) -> None:
    monkeypatch.setattr(release.predictor, "default", None if default is None else np.array(default, np.float32))
    passed = ((DEADLINE_HEADER, str(int(time.time() * 1000) - 50).encode()),)
    found = answered(release, ROW, [ROW, MISS], arrow([ROW]), late=late, headers=passed)
    if default is None or late == "dead-letter":
        assert [each.disposition for each in found.refused.values()] == ["deadline"] * 3
        return
    one, many, stream = found.predictions
    assert document(one)["source"] == "default"
    assert document(one)["outputs"] == {"click": 0.5, "share": [0.25, 0.75]}
    assert [each["source"] for each in document(many)["predictions"]] == ["default"] * 2
    assert stream is not None
    assert pa.ipc.open_stream(stream).read_all().to_pylist()[0]["source"] == "default"
    assert (found.rows, found.sources) == (4, {Source.DEFAULT: 4})


@pytest.mark.parametrize("late", ["default", "dead-letter"])
def test_late_ones_cost_the_model_nothing(release: Streamed, monkeypatch: pytest.MonkeyPatch, late: str) -> None:
    asked: list[int] = []

    def encode(self: FeatureSpace, columns: Any, rows: int, crew: Any = None) -> Any:
        asked.append(rows)
        return encode_columns(self, columns, rows, crew)

    encode_columns = FeatureSpace._encode_columns
    monkeypatch.setattr(FeatureSpace, "_encode_columns", encode)
    monkeypatch.setattr(release.predictor, "default", np.array([[0.5, 0.25, 0.75]], np.float32))
    passed = ((DEADLINE_HEADER, b"1000"),)
    late_ones = [record(value, headers=passed) for value in (ROW, [ROW, MISS], arrow([ROW]), BAD, b"{")]
    requests = [late_ones[0], record(MISS), *late_ones[1:], record(ROW)]
    found = answer(requests, release, max_rows=100, late=late)
    assert asked == [2]
    sources = [document(found.predictions[place])["source"] for place in (1, 6)]
    assert sources == ["model", "table"]
    told = {place: (why.error.cause, why.disposition) for place, why in found.refused.items()}
    if late == "default":
        assert told == {5: ("bad_body", "poison")}
        assert document(found.predictions[4])["source"] == "default"  # its values are not looked at
    else:
        assert told == dict.fromkeys((0, 2, 3, 4, 5), ("deadline", "deadline"))


def test_one_whose_deadline_is_to_come(release: Streamed) -> None:
    to_come = ((DEADLINE_HEADER, str(int(time.time() * 1000) + 60_000).encode()),)
    assert document(answered(release, ROW, headers=to_come).predictions[0])["source"] == "table"


@pytest.mark.parametrize("text", [b"", b"soon", b"-1", b"9" * 30, None, b"\xff"])
def test_deadline_that_is_none(release: Streamed, text: bytes | None) -> None:
    found = answered(release, ROW, headers=((DEADLINE_HEADER, text),))
    assert [each.error.cause for each in found.refused.values()] == ["bad_deadline"]


def test_headers_that_cannot_be_read(release: Streamed) -> None:
    found = answered(release, ROW, headers=UNREADABLE)
    assert [(each.error.cause, each.disposition) for each in found.refused.values()] == [("bad_headers", "poison")]
