"""The OpenAPI 3.1 document of a server: paths and schemas that follow from the feature spaces of what it serves."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.feature import Categorical, Feature, Tensor, Unknown
from engine.output import Output
from online.arrow_body import ARROW_STREAM
from online.holder import Holder, Served

Json = dict[str, Any]
_HIGHEST = float(np.finfo(np.float32).max)
# A longer list of categories makes a document that no page can show.
_MOST_VALUES = 500
_EXAMPLES = 2


def document(holder: Holder, *, version: str, max_rows: int) -> Json:
    """Return the document; ``version`` is the program's, ``max_rows`` the most rows a body may have."""
    paths: Json = {}
    schemas: Json = {"Error": _object({"error": {"type": "string"}})}
    for model in holder.models:
        served = holder.get(model)
        schemas[f"{model}.row"] = _object({f.name: _feature(f) for f in served.predictor.space.features})
        schemas[f"{model}.outputs"] = _object({o.name: _output(o) for o in served.predictor.schema.outputs})
        paths |= _model_paths(holder, served, max_rows)
    paths |= {path: {"get": _get(f"{what}.", {"type": kind})} for path, what, kind in _OPERATIONS}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Foretable",
            "version": version,
            "description": "Predictions from lookup tables first, from models in memory on a miss.",
        },
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


_OPERATIONS = (
    ("/livez", "Say that requests are answered at all", "object"),
    ("/readyz", "Say what is served", "object"),
    ("/openapi.json", "Return this document", "object"),
)


def _model_paths(holder: Holder, served: Served, max_rows: int) -> Json:
    place = f"/v1/models/{served.model}"
    paths: Json = {
        place: {"get": _get("Say which release is served, as TensorFlow Serving does.", {"type": "object"})},
        f"{place}/metadata": {"get": _get("Describe inputs and outputs.", {"type": "object"})},
    }
    labels = [each.label for each in holder.of(served.model)]
    releases = sorted({str(each.release) for each in holder.of(served.model)})
    for at, parameters in (
        ("", []),
        ("/labels/{label}", [_in_path("label", "A label that the server follows.", labels)]),
        ("/versions/{version}", [_in_path("version", "The number of a release that is served.", releases)]),
    ):
        operations = {"post": _post(served, max_rows)}
        if not served.predictor.space.tensor_features:  # which have no form in a query
            operations = {"get": _get_row(served), **operations}
        paths[f"{place}{at}:predict"] = {**({"parameters": parameters} if parameters else {}), **operations}
    return paths


def _in_path(name: str, text: str, values: list[str]) -> Json:
    schema = {"type": "string", "enum": values}
    return {"name": name, "in": "path", "required": True, "description": text, "schema": schema}


def _get_row(served: Served) -> Json:
    rows, _ = served.predictor.bundle.golden_rows()
    parameters = [
        {"name": f.name, "in": "query", "required": True, "schema": _feature(f), "example": rows[0][f.name]}
        for f in served.predictor.space.features
    ]
    body = _object(
        {
            "model": {"const": served.model},
            "release": {"type": "integer"},
            "source": {"enum": ["table", "model", "default"]},
            "outputs": {"$ref": f"#/components/schemas/{served.model}.outputs"},
        }
    )
    operation = _get("Answer one row.", body, parameters=[*parameters, *_HEADERS])
    operation["responses"]["304"] = {"description": "The answer that If-None-Match names still holds."}
    return operation


def _post(served: Served, max_rows: int) -> Json:
    space, outputs = served.predictor.space, served.predictor.schema.outputs
    row, answer = ({"$ref": f"#/components/schemas/{served.model}.{part}"} for part in ("row", "outputs"))
    rows = {"type": "array", "items": row, "minItems": 1, "maxItems": max_rows}
    columns = _object({f.name: {"type": "array", "items": _feature(f), "minItems": 1} for f in space.features})
    single = _output(outputs[0]) if len(outputs) == 1 else None
    predictions = _object({"predictions": {"type": "array", "items": single or answer}})
    columnar = (
        {"type": "array", "items": single}
        if single
        else _object({o.name: {"type": "array", "items": _output(o)} for o in outputs})
    )
    examples, _ = served.predictor.bundle.golden_rows()
    content = {
        "schema": {"oneOf": [_object({"instances": rows}), _object({"inputs": columns})]},
        "examples": {
            "instances": {"summary": "rows", "value": {"instances": examples[:_EXAMPLES]}},
            "inputs": {
                "summary": "columns",
                "value": {"inputs": {f.name: [row[f.name] for row in examples[:_EXAMPLES]] for f in space.features}},
            },
        },
    }
    answered = {"schema": {"oneOf": [predictions, _object({"outputs": columnar})]}}
    stream = {"schema": {"type": "string", "contentMediaType": ARROW_STREAM, "description": _ARROW_TEXT}}
    return {
        "summary": "Answer the rows of a body, in rows or columns (TensorFlow Serving), or of an Arrow stream.",
        "parameters": _HEADERS,
        "requestBody": {"required": True, "content": {"application/json": content, ARROW_STREAM: stream}},
        "responses": {
            "200": {
                "description": "The answers, in the form of the request.",
                "content": {"application/json": answered, ARROW_STREAM: stream},
            },
            **_failures(400, 401, 404, 413, 415, 500, 503, 504),
        },
    }


_ARROW_TEXT = (
    "An Arrow IPC stream, not compressed: a column a feature in; a column an output, source, release and fault out."
)
_HEADERS = [
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


def _get(summary: str, schema: Json, parameters: list[Json] | None = None) -> Json:
    return {
        "summary": summary,
        **({"parameters": parameters} if parameters else {}),
        "responses": {
            "200": {"description": "Answered.", "content": {"application/json": {"schema": schema}}},
            **_failures(400, 401, 404, 500, 503, 504),
        },
    }


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


def _failures(*codes: int) -> Json:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {str(code): {"description": _FAILURES[code], "content": content} for code in codes}


def _object(properties: Json) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _feature(feature: Feature) -> Json:
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


def _output(output: Output) -> Json:
    if output.width == 1:
        return {"type": "number"}
    return {"type": "array", "items": {"type": "number"}, "minItems": output.width, "maxItems": output.width}
