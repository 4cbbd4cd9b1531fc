"""The request that most clients send for one row, read by the shortest path: a JSON tensor of one text a feature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import orjson

from online.open_inference.datatype import BYTES

_SHAPES = ([1], [1, 1])
_FIELDS = 4


class PlainRow(NamedTuple):
    """A request, read; the texts are not judged yet, but by the space's encoders.

    Attributes:
        id: the client's, or None.
        row: the texts by feature.
    """

    id: str | None
    row: dict[str, object]


def parse_plain_row(body: bytes, names: Sequence[str]) -> PlainRow | None:
    """Read a request that has nothing but ``inputs``, and an ``id`` at most; return None for all others, good or bad.

    What is read means what ``parse_request`` makes of it, which tells what is wrong with the others.

    Args:
        body: all of it JSON.
        names: of the features; each has a tensor of ``name``, ``shape``, ``datatype`` BYTES and ``data``.
    """
    row: dict[str, object] = {}
    try:
        document = orjson.loads(body)
        inputs, identifier = document["inputs"], document.get("id")
        for tensor in inputs:
            data, shape = tensor["data"], tensor["shape"]
            if (
                len(tensor) != _FIELDS
                or type(data) is not list
                or shape not in _SHAPES
                or not (type(shape[0]) is type(shape[-1]) is int)  # True equals 1
                or tensor["datatype"] != BYTES
            ):
                return None
            (text,) = data
            if type(text) is not str:
                return None
            row[tensor["name"]] = text
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError):
        return None
    if len(document) != 1 + (identifier is not None) or not isinstance(identifier, str | None):
        return None
    # As many colons as keys: none came twice. Texts with colons go the long way.
    if len(inputs) != len(names) or body.count(b":") != len(document) + _FIELDS * len(inputs):
        return None
    return PlainRow(identifier, row) if all(map(row.__contains__, names)) else None
