from __future__ import annotations

import itertools

import pytest

from engine.storage import Storage, open_storage
from jobs.scoring.chunk import Chunk
from jobs.scoring.format import FormatOptions, Wanted
from jobs.scoring.json_lines import JsonLinesFormat
from tests.support.synthetic import synthetic_space

_numbers = itertools.count()
GOOD = b'{"city": "Bern", "size": 1}'


def stored(data: bytes) -> tuple[Storage, str]:
    storage = open_storage("memory://json-lines")
    name = f"{next(_numbers)}.jsonl"
    storage.create(name, data)
    return storage, name


def read(data: bytes, **partition: str | None) -> Chunk:
    storage, name = stored(data)
    wanted = Wanted(columns=("city", "size"), texts=(), partition=partition)
    (chunk,) = JsonLinesFormat(FormatOptions()).read(storage, name, 0, len(data), wanted)
    return chunk


def test_each_row_has_its_own_columns_and_types() -> None:
    chunk = read(b'{"city": "Bern"}\r\n{"city": 7, "size": 1.5, "more": [1, {"a": null}]}\n\n{}\n')
    assert chunk.values == [{"city": "Bern"}, {"city": 7, "size": 1.5, "more": [1, {"a": None}]}, {}]
    assert chunk.malformed == {}
    assert chunk.column("city") == ["Bern", 7, None]
    assert chunk.column("nothing") == [None] * 3
    assert chunk.position(1) == (None, 18)
    assert chunk.content(1).fields == {"city": 7, "size": 1.5, "more": [1, {"a": None}]}
    assert chunk.content(1).text == b'{"city": 7, "size": 1.5, "more": [1, {"a": null}]}'


def deep(levels: int) -> bytes:
    return b'{"city": ' + b"[" * levels + b"]" * levels + b"}"


@pytest.mark.parametrize(
    "line, message",
    [
        (b'{"city": "Be', "a record must be a JSON object on one line: "),
        (b'{"city": "\xff"}', "a record must be a JSON object on one line: "),
        (b'{"city": NaN}', "a record must be a JSON object on one line: "),
        (b'{"city": "a"} {"city": "b"}', "a record must be a JSON object on one line: "),
        (b'{"city": "\\ud800"}', "a record must be a JSON object on one line: "),
        (b" ", "a record must be a JSON object on one line: "),
        (b"[1]", "a record must be a JSON object; got '[1]'"),
        (b"null", "a record must be a JSON object; got 'null'"),
        (b'"Bern"', "a record must be a JSON object; got '\"Bern\"'"),
        (deep(300), "a record must be a JSON object on one line: Recursion limit reached"),
        (deep(5000), "a record must be a JSON object on one line: "),
    ],
)
def test_a_malformed_line_costs_no_other(line: bytes, message: str) -> None:
    chunk = read(GOOD + b"\n" + line + b"\n" + GOOD)
    assert list(chunk.malformed) == [1]
    error = chunk.malformed[1]
    assert str(error).startswith(message)
    assert (error.cause, error.feature) == ("malformed", None)
    assert chunk.content(1) == (line, None)
    assert chunk.position(2) == (None, len(GOOD) + len(line) + 2)
    assert [chunk.values[0], chunk.values[2]] == [{"city": "Bern", "size": 1}] * 2


def test_a_fault_says_that_the_line_is_malformed_and_not_what_it_lacks() -> None:
    encoded = read(b"oops\n{}").encode(synthetic_space())
    assert {row: error.cause for row, error in encoded.faults.items()} == {0: "malformed", 1: "missing_feature"}


def test_what_is_no_feature_is_not_read() -> None:
    row = b'{"city": "Bern", "plan": "pro", "age": 3, "size": 1, "id": 9, "deep": %s}' % deep(200)
    assert list(read(row).encode(synthetic_space()).faults) == [0]  # Bern is no city of the space
    good = row.replace(b"Bern", "東京".encode())
    assert read(good).encode(synthetic_space()).faults == {}


def test_partitions_are_fields_of_every_row() -> None:
    chunk = read(b'{"city": "Bern"}\n{"size": "2"}\nx', size="1", day=None)
    assert chunk.column("size") == ["1", "1", "1"]
    assert chunk.content(0).fields == {"size": "1", "day": None, "city": "Bern"}
    assert chunk.content(2).fields is None


def test_a_file_is_cut_at_bytes() -> None:
    storage, name = stored(b'{"a":1}\n' * 4)
    shape = JsonLinesFormat(FormatOptions()).shape(storage, name, 10)
    assert shape.schema is None
    assert [(piece.start, piece.stop) for piece in shape.pieces] == [(0, 10), (10, 20), (20, 30), (30, 32)]
