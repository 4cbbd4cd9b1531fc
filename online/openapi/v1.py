"""The paths of ``/v1``: TensorFlow Serving's REST API, and one row by GET."""

from __future__ import annotations

from engine.wire.media_types import ARROW_STREAM
from online.openapi.schema import (
    HEADERS,
    Json,
    closed_object,
    failures,
    get_operation,
    in_path,
    output_schema,
    value_schema,
)
from online.served import Served, ServedHolder

_EXAMPLES = 2


def v1_paths(holder: ServedHolder, served: Served, max_rows: int) -> Json:
    """Return the paths of one model."""
    place = f"/v1/models/{served.model}"
    paths: Json = {
        place: {"get": get_operation("Say which releases are served, as TensorFlow Serving does.", {"type": "object"})},
        f"{place}/metadata": {"get": get_operation("Describe inputs and outputs.", {"type": "object"})},
    }
    labels = [each.label for each in holder.of(served.model)]
    releases = sorted({str(each.release) for each in holder.of(served.model)})
    for at, parameters in (
        ("", []),
        ("/labels/{label}", [in_path("label", "A label that the server follows.", labels)]),
        ("/versions/{version}", [in_path("version", "The number of a release that is served.", releases)]),
    ):
        operations = {"post": _post(served, max_rows)}
        if not served.predictor.space.tensor_features:  # which have no form in a query
            operations = {"get": _get_row(served), **operations}
        paths[f"{place}{at}:predict"] = {**({"parameters": parameters} if parameters else {}), **operations}
    return paths


def _get_row(served: Served) -> Json:
    rows, _ = served.predictor.bundle.golden_rows()
    parameters = [
        {"name": f.name, "in": "query", "required": True, "schema": value_schema(f), "example": rows[0][f.name]}
        for f in served.predictor.space.features
    ]
    body = closed_object(
        {
            "model": {"const": served.model},
            "release": {"type": "integer"},
            "source": {"enum": ["table", "model", "default"]},
            "outputs": {"$ref": f"#/components/schemas/{served.model}.outputs"},
        }
    )
    operation = get_operation("Answer one row.", body, parameters=[*parameters, *HEADERS])
    operation["responses"]["304"] = {"description": "The answer that If-None-Match names still holds."}
    return operation


def _post(served: Served, max_rows: int) -> Json:
    space, outputs = served.predictor.space, served.predictor.schema.outputs
    row, answer = ({"$ref": f"#/components/schemas/{served.model}.{part}"} for part in ("row", "outputs"))
    rows = {"type": "array", "items": row, "minItems": 1, "maxItems": max_rows}
    columns = closed_object(
        {f.name: {"type": "array", "items": value_schema(f), "minItems": 1} for f in space.features}
    )
    single = output_schema(outputs[0]) if len(outputs) == 1 else None
    predictions = closed_object({"predictions": {"type": "array", "items": single or answer}})
    columnar = (
        {"type": "array", "items": single}
        if single
        else closed_object({o.name: {"type": "array", "items": output_schema(o)} for o in outputs})
    )
    examples, _ = served.predictor.bundle.golden_rows()
    content = {
        "schema": {"oneOf": [closed_object({"instances": rows}), closed_object({"inputs": columns})]},
        "examples": {
            "instances": {"summary": "rows", "value": {"instances": examples[:_EXAMPLES]}},
            "inputs": {
                "summary": "columns",
                "value": {"inputs": {f.name: [row[f.name] for row in examples[:_EXAMPLES]] for f in space.features}},
            },
        },
    }
    answered = {"schema": {"oneOf": [predictions, closed_object({"outputs": columnar})]}}
    stream = {"schema": {"type": "string", "contentMediaType": ARROW_STREAM, "description": _ARROW_TEXT}}
    return {
        "summary": "Answer the rows of a body, in rows or columns (TensorFlow Serving), or of an Arrow stream.",
        "parameters": HEADERS,
        "requestBody": {"required": True, "content": {"application/json": content, ARROW_STREAM: stream}},
        "responses": {
            "200": {
                "description": "The answers, in the form of the request.",
                "content": {"application/json": answered, ARROW_STREAM: stream},
            },
            **failures(400, 401, 404, 413, 415, 500, 503, 504),
        },
    }


_ARROW_TEXT = (
    "An Arrow IPC stream, not compressed: a column a feature in; a column an output, source, release and fault out."
)
