from __future__ import annotations

import resource
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow.parquet as pq
import pytest

from engine.errors import InvalidInput, Unavailable
from jobs.scoring import quarantine as module
from jobs.scoring.chunk import Chunk, Content, Position
from jobs.scoring.quarantine import SCHEMA, Quarantine

NULL = InvalidInput("feature 'city' must be a text; got null", cause="null", feature="city")
NOT_JSON = InvalidInput("a record must be a JSON object on one line: secret", cause="malformed")


def text_chunk(*contents: Content) -> Chunk:
    return Chunk(
        values=[{}] * len(contents), content=contents.__getitem__, position=lambda row: Position(None, row * 10)
    )


def rows_of(quarantine: Quarantine) -> list[dict[str, Any]]:
    try:
        table = pq.read_table(quarantine.finish())
        assert table.schema == SCHEMA
        found: list[dict[str, Any]] = table.to_pylist()
        return found
    finally:
        quarantine.close()


def quarantined(*contents: Content, error: InvalidInput = NULL, redact: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    quarantine = Quarantine(redact)
    quarantine.add("day=1/a.csv", text_chunk(*contents), dict.fromkeys(range(len(contents)), error))
    return rows_of(quarantine)


def test_a_row_is_whole_with_its_cause_and_place() -> None:
    quarantine = Quarantine(())
    chunk = text_chunk(Content(b"1,", {}), Content(b"ok", {}), Content("2,Łódź".encode(), {}))
    quarantine.add("a.csv", chunk, {2: NOT_JSON, 0: NULL})  # as faults come: in no order
    assert (quarantine.rows, quarantine.causes) == (2, {"null": 1, "malformed": 1})
    assert rows_of(quarantine) == [
        {
            "file": "a.csv",
            "row": None,
            "byte_offset": 0,
            "cause": "null",
            "feature": "city",
            "message": "feature 'city' must be a text; got null",
            "content": "1,",
            "content_bytes": None,
        },
        {
            "file": "a.csv",
            "row": None,
            "byte_offset": 20,
            "cause": "malformed",
            "feature": None,
            "message": "a record must be a JSON object on one line: secret",
            "content": "2,Łódź",
            "content_bytes": None,
        },
    ]


def test_a_row_of_columns_is_json() -> None:
    (row,) = quarantined(
        Content(None, {"city": None, "raw": b"\xff\x00", "nan": float("nan"), "many": [1, {"a": "ü"}]})
    )
    assert row["content"] == '{"city":null,"raw":"ff00","nan":"nan","many":[1,{"a":"ü"}]}'


def test_a_text_that_is_not_utf_8_is_kept_as_bytes() -> None:
    (row,) = quarantined(Content(b"1,\xff", None))
    assert (row["content"], row["content_bytes"]) == (None, b"1,\xff")


SECRET = {"name": "Anna Secret", "city": "Bern"}


@pytest.mark.parametrize(
    "redact, error, content, message",
    [
        (("name",), NULL, '{"name":"[redacted]","city":"Bern"}', "feature 'city' must be a text; got null"),
        (("name", "city"), NULL, '{"name":"[redacted]","city":"[redacted]"}', "null [redacted]"),
        (("name",), NOT_JSON, '{"name":"[redacted]","city":"Bern"}', "malformed [redacted]"),
        (("other",), NULL, '{"name":"Anna Secret","city":"Bern"}', "feature 'city' must be a text; got null"),
    ],
)
def test_redacted_columns(redact: tuple[str, ...], error: InvalidInput, content: str, message: str) -> None:
    """Neither the content nor a message that quotes a value may show one."""
    for text in (None, b"Anna Secret,Bern"):
        (row,) = quarantined(Content(text, SECRET), error=error, redact=redact)
        assert (row["content"], row["content_bytes"], row["message"]) == (content, None, message)


@pytest.mark.parametrize("text", [b'{"name": "Anna Sec', b"Anna Secret\xff"])
def test_a_row_that_cannot_be_parsed_is_redacted_whole(text: bytes) -> None:
    (row,) = quarantined(Content(text, None), error=NOT_JSON, redact=("name",))
    assert (row["content"], row["content_bytes"], row["message"]) == ("[redacted]", None, "malformed [redacted]")
    assert row["byte_offset"] == 0


@pytest.mark.parametrize("limit", ["_BUFFER_ROWS", "_BUFFER_BYTES"])
def test_rows_are_written_as_they_come(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, limit, 3 if limit == "_BUFFER_ROWS" else 300)
    quarantine = Quarantine(())
    for number in range(10):
        content = Content(b"%03d" % number + b"x" * 97, None)
        quarantine.add("a", text_chunk(content), {0: NULL})
        assert len(quarantine._buffer) < 3
    assert [row["content"][:3] for row in rows_of(quarantine)] == [f"{number:03d}" for number in range(10)]


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def test_a_file_of_nothing_but_bad_rows_does_not_fill_the_memory() -> None:
    """200 MB of long rows; a buffer of 16,384 of them would hold all."""
    quarantine = Quarantine(())
    text = b"x" * 1_000_000
    content: Callable[[int], Content] = lambda row: Content(b"%d" % row + text, None)  # noqa: E731
    values: list[Mapping[str, object]] = [{}] * 200
    before = peak_bytes()
    quarantine.add(
        "a",
        Chunk(values=values, content=content, position=lambda row: Position(row, None)),
        dict.fromkeys(range(200), NULL),
    )
    assert quarantine.rows == 200
    quarantine.close()
    assert peak_bytes() - before < 150_000_000


def test_a_chunk_without_faults_adds_nothing() -> None:
    quarantine = Quarantine(())
    quarantine.add("a", text_chunk(), {})
    assert quarantine.rows == 0
    assert rows_of(quarantine) == []


@pytest.mark.parametrize(
    "redact, shown", [((), "feature 'city' must be a text; got null"), (("city",), "null [redacted]")]
)
def test_the_first_row_of_each_cause_is_its_example(redact: tuple[str, ...], shown: str) -> None:
    quarantine = Quarantine(redact)
    contents = [Content(b"1", {"city": None}), Content(b"2", {"city": None}), Content(b"3", None)]
    quarantine.add("a.csv", text_chunk(*contents), {0: NULL, 1: NULL, 2: NOT_JSON})
    hidden = "malformed [redacted]" if redact else str(NOT_JSON)
    assert quarantine.examples == {"null": f"a.csv byte 0: {shown}", "malformed": f"a.csv byte 20: {hidden}"}
    quarantine.close()


def test_a_full_temporary_directory_is_named() -> None:
    quarantine = Quarantine(())
    quarantine.add("a.csv", text_chunk(Content(b"x" * 100_000, None)), {0: NOT_JSON})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, before[1]))
    try:
        with pytest.raises(Unavailable, match=r"temporary directory .*: File too large"):
            quarantine.finish()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        quarantine.close()
