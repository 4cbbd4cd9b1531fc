"""Schemas of values, and the parts that operations share."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.feature import Categorical, Feature, Tensor, Unknown
from engine.output import Output

Json = dict[str, Any]
_HIGHEST = float(np.finfo(np.float32).max)
# A longer list of categories makes a document that no page can show.
_MOST_VALUES = 500
HEADERS = [
    {
        "name": "Foretable-Deadline",
        "in": "header",
        "description": "Unix time in milliseconds after which the answer is of no use.",
        "schema": {"type": "integer", "minimum": 0, "maximum": 10**15 - 1},
    },
    {
        "name": "X-Request-Id",
        "in": "header",
        "description": "Comes back in the answer; one is made where it is missing.",
        "schema": {"type": "string"},
    },
]


def get_operation(summary: str, schema: Json, parameters: list[Json] | None = None) -> Json:
    """Return a GET that answers JSON of a schema."""
    return {
        "summary": summary,
        **({"parameters": parameters} if parameters else {}),
        "responses": {
            "200": {"description": "Answered.", "content": {"application/json": {"schema": schema}}},
            **failures(400, 401, 404, 500, 503, 504),
        },
    }


def in_path(name: str, text: str, values: list[str]) -> Json:
    """Return a parameter in the path that takes one of some values."""
    schema = {"type": "string", "enum": values}
    return {"name": name, "in": "path", "required": True, "description": text, "schema": schema}


_FAILURES = {
    400: "The request is at fault; the error names the feature and what it must be.",
    401: "The token is missing or wrong.",
    404: "There is no such model, label, version or path.",
    413: "The body has too many bytes or rows.",
    415: "The body is of a type that is not read.",
    500: "The server is at fault.",
    503: "The server is busy; come back after Retry-After.",
    504: "The deadline has passed.",
}


def failures(*codes: int) -> Json:
    """Return the responses that are errors."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {str(code): {"description": _FAILURES[code], "content": content} for code in codes}


def closed_object(properties: Json) -> Json:
    """Return the schema of an object with these properties, all of them, and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def value_schema(feature: Feature) -> Json:
    """Return the schema of a raw value: the form to send. Others that mean the same are taken too."""
    if isinstance(feature, Categorical):
        if feature.unknown is Unknown.REJECT and len(feature.values) <= _MOST_VALUES:
            return {"type": "string", "enum": list(feature.values)}
        return {"type": "string"}
    number = {"type": "number", "minimum": -_HIGHEST, "maximum": _HIGHEST}
    if isinstance(feature, Tensor):
        for length in reversed(feature.shape):
            number = {"type": "array", "items": number, "minItems": length, "maxItems": length}
    return number


def output_schema(output: Output) -> Json:
    """Return the schema of one row's values of an output."""
    if output.width == 1:
        return {"type": "number"}
    return {"type": "array", "items": {"type": "number"}, "minItems": output.width, "maxItems": output.width}
