"""JSON from outside, read; NaN and the infinities are let through, so that an error can name whose value they are."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson

from engine.errors import InvalidInput

_AFTER_KEY = re.compile(rb'"[ \t\r\n]*:')
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SHORT = 64
# Where numpy's calls take less time than a search from colon to colon: a fifth for a body of a megabyte.
_LONG_BYTES = 1 << 13


def parse_json(data: bytes | memoryview, *, what: str) -> object:
    """Return a JSON document.

    Args:
        data: UTF-8.
        what: the document, as the error's message names it.

    Raises:
        InvalidInput: it is not JSON, nests too deep, or an object of it has a key twice.
    """
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        document = _with_constants(bytes(data), what)
        if document is not None:
            return document
        message = f"{what} must be JSON in UTF-8: {error}"
        raise InvalidInput(message, cause="bad_body") from error
    try:
        if may_repeat_keys(data, document):
            _parse_slowly(bytes(data), what)
    except RecursionError as error:
        message = f"{what} must not nest so deep"
        raise InvalidInput(message, cause="bad_body") from error
    return document


def kind_of(value: object) -> str:
    """Return what a JSON value is, as an error's message says it."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", type(None): "null"}
    if isinstance(value, (dict, list)) and not value:
        return f"{names[type(value)]} with nothing in it"
    return names.get(type(value), "a number")


def may_repeat_keys(data: bytes | memoryview, document: object) -> bool:
    """Return whether an object may have a key twice, of which orjson keeps the last value.

    A key is followed by a colon: where there are no more of these than keys were read, none came twice. Texts may hold
    colons too; those right behind a quotation mark, as behind a key, are rare in them.
    """
    keys = _keys(document)
    return _colons(data) != keys and len(_AFTER_KEY.findall(data)) != keys


def _colons(data: bytes | memoryview) -> int:
    if len(data) < _LONG_BYTES:
        return bytes(data).count(b":")
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord(":")))


def _keys(document: object) -> int:
    """Return how many keys objects have; those of objects within the rows of a long list are not looked for."""
    keys, left = 0, [document]
    while left:  # a call for each value would take most of the time of reading one row
        value = left.pop()
        if type(value) is dict:
            keys += len(value)
            left += value.values()
        elif type(value) is list and value and type(value[0]) is dict:
            if len(value) < _SHORT:
                left += value
            elif set(map(type, value)) == {dict}:
                keys += sum(map(len, value))
            else:
                keys += sum([len(item) for item in value if isinstance(item, dict)])
    return keys


def _parse_slowly(data: bytes, what: str, constant: Callable[[str], float] | None = None) -> object:
    """Return the document by the standard library's reader, which tells of every key; raise as ``parse_json``."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            key, _ = Counter(key for key, _ in pairs).most_common(1)[0]
            message = f"{what} must have each key of an object once; got {key[:80]!r} twice"
            raise InvalidInput(message, cause="bad_body")
        return found

    return json.loads(data.decode(), object_pairs_hook=unique, parse_constant=constant)


def _with_constants(data: bytes, what: str) -> object:
    """Return what is JSON but for NaN and the infinities; None where it has other faults, or none of these."""
    seen: list[float] = []

    def constant(text: str) -> float:
        seen.append(float(text))
        return seen[-1]

    try:
        document = _parse_slowly(data, what, constant)
        if _SURROGATE.search(data):
            json.dumps(document, ensure_ascii=False).encode()  # half a pair is no text: no answer could repeat it
    except (ValueError, RecursionError):
        return None
    return document if seen else None
