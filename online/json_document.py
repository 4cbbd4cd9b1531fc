"""JSON from outside, read; NaN and the infinities are let through, so that an error can name whose value they are."""

from __future__ import annotations

import json

import orjson

from engine.errors import InvalidInput


def parse_json(data: bytes | memoryview, *, what: str) -> object:
    """Return a JSON document.

    Args:
        data: UTF-8.
        what: the document, as the error's message names it.

    Raises:
        InvalidInput: it is not JSON, or nests too deep.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        document = _with_constants(bytes(data))
        if document is not None:
            return document
        message = f"{what} must be JSON in UTF-8: {error}"
        raise InvalidInput(message, cause="bad_body") from error


def kind_of(value: object) -> str:
    """Return what a JSON value is, as an error's message says it."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", type(None): "null"}
    if isinstance(value, (dict, list)) and not value:
        return f"{names[type(value)]} with nothing in it"
    return names.get(type(value), "a number")


def _with_constants(data: bytes) -> object:
    """Return what is JSON but for NaN and the infinities; None where it has other faults, or none of these."""
    seen: list[float] = []

    def constant(text: str) -> float:
        seen.append(float(text))
        return seen[-1]

    try:
        document: object = json.loads(data.decode(), parse_constant=constant)
    except (ValueError, RecursionError):
        return None
    return document if seen else None
