from __future__ import annotations

import pytest

from streaming.decoding import Decoded, decode
from streaming.streamed import Streamed
from tests.support.stream_records import BAD, MISS, ROW, arrow, record


def decoded(release: Streamed, *values: object) -> list[object]:
    """Return, by record, its rows, or the cause of its fault."""
    records = [record(value, place) for place, value in enumerate(values)]
    return told(decode(records, range(len(records)), release.predictor.space, max_rows=3))


def told(found: Decoded) -> list[object]:
    """Return what was read, in the order of its places."""
    by_place: dict[int, object] = dict(zip(found.places, found.rows, strict=True))
    parts = (
        by_place,
        found.lists,
        {place: table.to_pylist() for place, table in found.tables.items()},
        {place: error.cause for place, error in found.faults.items()},
    )
    places = [place for part in parts for place in part]
    assert len(set(places)) == len(places)
    return [part[place] for place in sorted(places) for part in parts if place in part]


def test_rows_lists_and_streams_stand_beside_each_other(release: Streamed) -> None:
    values = (ROW, [ROW, MISS], [BAD], arrow([ROW, MISS]), ROW)
    assert decoded(release, *values) == [ROW, [ROW, MISS], [BAD], [ROW, MISS], ROW]


def test_only_some_are_read(release: Streamed) -> None:
    records = [record(row, place) for place, row in enumerate((ROW, b"{", MISS, [ROW], ROW))]
    for places, wanted in (([2, 4], [MISS, ROW]), ([1, 3], ["bad_body", [ROW]]), ([], [])):
        found = decode(records, places, release.predictor.space, max_rows=3)
        assert told(found) == wanted
        assert sorted([*found.places, *found.lists, *found.faults]) == places


@pytest.mark.parametrize(
    "value, cause",
    [
        (None, "no_value"),
        (b"", "bad_body"),
        (b"{", "bad_body"),
        (b"not JSON", "bad_body"),
        (b"\x00\x01", "bad_body"),
        (b"7", "bad_body"),
        (b"null", "bad_body"),
        (b"[]", "bad_body"),
        ([ROW, 7], "bad_body"),
        ([ROW] * 4, "too_many_rows"),
        (b'{"city": "a", "city": "b"}', "bad_body"),
        (b'{"city": "\xff"}', "bad_body"),
        (arrow([ROW])[:-9], "bad_body"),
        (b"\xff\xff\xff\xff", "bad_body"),
        (arrow([ROW] * 4), "too_many_rows"),
        (b'{"a":' * 5000, "bad_body"),
    ],
)
def test_one_that_cannot_be_read_fails_alone(release: Streamed, value: object, cause: str) -> None:
    assert decoded(release, ROW, value, MISS) == [ROW, cause, MISS]


@pytest.mark.parametrize(
    "first, second",
    [
        (b'{"a":1},{"b":2}', b'{"c":3}'),
        (b'{"x":[{}', b"{}]}"),
        (b'{"x":[1', b"2]}"),
        (b'{"a":1},0,{"b":2}', b'{"c":3}'),
        (b'{"a":"', b'"}'),
        (b'{"a":1}]', b'[{"b":2}'),
        (b"[", b"]"),
    ],
)
def test_one_cannot_make_the_next_a_part_of_itself(release: Streamed, first: bytes, second: bytes) -> None:
    """Each alone is what it is beside the other."""
    alone = [decoded(release, each)[0] for each in (first, second)]
    assert decoded(release, ROW, first, second, MISS) == [ROW, *alone, MISS]
    assert decoded(release, first, second) == alone


def test_key_twice_is_found_among_good_ones(release: Streamed) -> None:
    twice = b'{"city": "x", "plan": "pro", "age": 1, "size": "1", "size": "2"}'
    assert decoded(release, *([ROW] * 100), twice)[-1] == "bad_body"


def test_no_record(release: Streamed) -> None:
    assert decoded(release) == []
