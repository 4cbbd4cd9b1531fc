from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidInput
from engine.wire.json_document import parse_json

TEXTS = st.text(alphabet='ab":\\{} ', max_size=5)
VALUES: Any = st.recursive(
    st.none() | st.integers(0, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.sampled_from([None, 1]), st.sampled_from([(",", ":"), (" , ", " : ")]))
def test_document_without_a_key_twice_is_read(value: object, indent: int | None, separators: tuple[str, str]) -> None:
    text = json.dumps(value, indent=indent, separators=separators, ensure_ascii=False)
    assert parse_json(text.encode(), what="the body") == value


@pytest.mark.parametrize("text", ["x", ": :", '": '])
def test_long_document_is_read_whatever_its_texts_are(text: str) -> None:
    document = {"rows": [{"a": text, "b": number} for number in range(2000)]}
    assert parse_json(memoryview(json.dumps(document).encode()), what="the body") == document


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '{"a" : 1, "a"\n: 2}',
        '{"a": ":", "a": 2}',
        '{"rows": [{"a": 1}, {"b": "x\\":", "b": 2}]}',
        '{"rows": [' + '{"a": 1},' * 100 + '{"a": 1, "a": 2}]}',
        '{"rows": [' + '{"a": 1},' * 2000 + '{"a": 1, "a": 2}]}',
        '{"rows": [' + '{"a": {"b": 1}},' * 100 + '{"a": {"b": 1, "b": 2}}]}',
        '{"a": {"b": [[{"c": 1, "c": 2}]]}}',
        '[{"a": 1}, [{"b": 1, "b": 1}]]',
        '[1, {"b": 1, "b": 1}]',
        '{"a": NaN, "a": 1}',
        '{"\\u0061": 1, "a": 1}',
    ],
)
def test_key_that_comes_twice_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"each key of an object once; got '[abc]' twice"):
        parse_json(text.encode(), what="the body")


def test_deep_document_is_refused_where_its_keys_must_be_read_slowly() -> None:
    nested = '{"a":[' * 500 + '{"b":":"}' + "]}" * 500
    with pytest.raises(InvalidInput, match="must not nest so deep"):
        parse_json(nested.encode(), what="the body")
    assert parse_json(b'{"a":' * 900 + b"1" + b"}" * 900, what="the body")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"{'a': 1}", b"[" * 100_000, b'{"a":' * 100_000, b"nan"])
def test_what_is_no_json(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="the body must be JSON in UTF-8"):
        parse_json(data, what="the body")


@pytest.mark.parametrize("text", [r'{"\ud800": NaN}', r'["\uDFFF", Infinity]', r'{"a": {"b": "\ud83c "}, "c": NaN}'])
def test_half_a_surrogate_pair_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="the body must be JSON in UTF-8"):
        parse_json(text.encode(), what="the body")


def test_surrogate_pair_beside_a_nan() -> None:
    assert str(parse_json(rb'["\ud83c\udf70", NaN]', what="the body")) == "['🍰', nan]"
