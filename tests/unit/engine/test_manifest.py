"""Manifests: canonical bytes, digests, and what a reader refuses."""

from __future__ import annotations

import hashlib
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import BadArtifact
from engine.manifest import canonical_json, new_manifest, now_text, parse_manifest, seal, sha256

JSON: st.SearchStrategy[object] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("a\u00fc\u6771"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=4),
)


def test_the_bytes_are_as_documented() -> None:
    value = {"b": [1, 2.5, None, True], "a": {"\u00fc": "\u6771", "A": ""}}
    assert canonical_json(value) == '{"a":{"A":"","\u00fc":"\u6771"},"b":[1,2.5,null,true]}'.encode()


@settings(max_examples=40)
@given(st.dictionaries(st.text("abcd", max_size=2), JSON))
def test_equal_values_have_equal_bytes(fields: dict[str, object]) -> None:
    backwards = dict(reversed(fields.items()))
    data = seal(new_manifest("table", 1, spec=fields))
    assert seal({"spec": backwards, "format": {"version": 1, "kind": "table"}}) == data
    assert parse_manifest(data, kind="table", version=1, where="x")["spec"] == fields


def test_the_seal_is_the_digest_of_the_rest() -> None:
    digest = hashlib.sha256(b'{"a":1,"format":{}}').hexdigest()
    assert seal({"format": {}, "a": 1}) == b'{"a":1,"format":{},"sha256":"%s"}' % digest.encode()


@given(st.data())
def test_any_changed_byte_is_refused(data: st.DataObject) -> None:
    sealed = bytearray(seal(new_manifest("label", 1, release=17, reason="why")))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(BadArtifact, match=r"^a/b: must "):
        parse_manifest(bytes(sealed), kind="label", version=1, where="a/b")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_has_not_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": value})


def test_the_digest_is_sha256() -> None:
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("version", [0, 2, "1", 1.5, None])
def test_another_format_version_is_refused(version: object) -> None:
    data = canonical_json({"format": {"kind": "table", "version": version}})
    with pytest.raises(BadArtifact, match=rf"^a/b: must be of table format version 1; got {version!r}\. .*upgrade"):
        parse_manifest(data, kind="table", version=1, where="a/b")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b'{"format":',
        b"\x00" * 10,
        b"[" * 100_000,
        b'{"format":{"kind":"table","version":1},"a":NaN}',
        rb'{"format":{"kind":"table","version":1},"a":"\ud800"}',
        b'{"a":' + b"9" * 5000 + b"}",
    ],
    ids=range(9),
)
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(BadArtifact, match=r"^a/b: must be JSON; got .*damaged"):
        parse_manifest(data, kind="table", version=1, where="a/b")


@pytest.mark.parametrize(
    "data", [b"[]", b"7", b"null", b"{}", b'{"format":1}', b'{"format":{"kind":"bundle","version":1}}']
)
def test_another_kind_is_refused(data: bytes) -> None:
    with pytest.raises(BadArtifact, match=r"^a/b: must be a table manifest; got format"):
        parse_manifest(data, kind="table", version=1, where="a/b")


def test_times_are_utc_to_the_second() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", now_text())
