from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidInput
from online.query import parse_query

NAMES = st.text(st.characters(codec="utf-8"), min_size=1)


@pytest.mark.parametrize(
    "query, row",
    [
        ("", {}),
        ("a=1&b=two", {"a": "1", "b": "two"}),
        ("a=", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        ("city=S%C3%A3o+Paulo", {"city": "São Paulo"}),
        ("a=%26&b=%3D", {"a": "&", "b": "="}),
    ],
)
def test_query_is_a_row(query: str, row: dict[str, str]) -> None:
    assert parse_query(query) == row


@given(st.dictionaries(NAMES, st.text(st.characters(codec="utf-8"))))
def test_reads_what_a_client_writes(row: dict[str, str]) -> None:
    assert parse_query(urlencode(row)) == row


@pytest.mark.parametrize(
    "query, message",
    [
        ("a=1&a=2", "feature 'a' must be given once; got it twice"),
        ("a=1&%61=2", "feature 'a' must be given once; got it twice"),
        ("a", "must be name=value pairs joined by &; got 'a'"),
        ("a=1&", "must be name=value pairs"),
        ("&", "must be name=value pairs"),
        ("a=%FF", "must be percent-encoded UTF-8; got '%FF'"),
        ("a=Zürich", "must be percent-encoded; got bytes outside ASCII"),
    ],
)
def test_what_is_no_row_is_refused(query: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        parse_query(query)
