"""The paths of ``/v2``: the Open Inference Protocol."""

from __future__ import annotations

from engine.feature import Categorical, Feature, Tensor
from online.open_inference.datatype import datatype_of
from online.openapi.schema import HEADERS, Json, closed_object, failures, get_operation, in_path, value_schema
from online.served import Served, ServedHolder

_OBJECT: Json = {"type": "object"}
SERVER_PATHS: Json = {
    "/v2": {"get": get_operation("Describe the server.", _OBJECT)},
    "/v2/health/live": {"get": get_operation("Say that requests are answered at all.", _OBJECT)},
    "/v2/health/ready": {"get": get_operation("Say that every model is served.", _OBJECT)},
}


def v2_paths(holder: ServedHolder, served: Served) -> Json:
    """Return the paths of one model."""
    place = f"/v2/models/{served.model}"
    releases = sorted({str(each.release) for each in holder.of(served.model)})
    version = in_path("version", "The number of a release that is served.", releases)
    paths: Json = {}
    for at, parameters in (("", []), ("/versions/{version}", [version])):
        shared: Json = {"parameters": parameters} if parameters else {}
        paths[f"{place}{at}"] = {**shared, "get": get_operation("Describe inputs and outputs.", _OBJECT)}
        paths[f"{place}{at}/ready"] = {**shared, "get": get_operation("Say that the model is served.", _OBJECT)}
        paths[f"{place}{at}/infer"] = {**shared, "post": _infer(served)}
    return paths


def _infer(served: Served) -> Json:
    space, outputs = served.predictor.space, served.predictor.schema.outputs
    inputs = {"type": "array", "items": {"oneOf": [_input(feature) for feature in space.features]}}
    asked = {"type": "array", "items": _with_name({"enum": [output.name for output in outputs]})}
    body = {
        "type": "object",
        "properties": {"id": {"type": "string"}, "inputs": inputs, "outputs": asked, "parameters": _OBJECT},
        "required": ["inputs"],
    }
    answered = closed_object(
        {
            "model_name": {"const": served.model},
            "model_version": {"type": "string"},
            "parameters": closed_object({"source": {"type": "string"}, "release": {"type": "integer"}}),
            "outputs": {"type": "array", "items": _with_name({"type": "string"})},
        }
    )
    answered["properties"]["id"] = {"type": "string"}
    rows, _ = served.predictor.bundle.golden_rows()
    example = {"inputs": [_tensor(feature, [rows[0][feature.name]]) for feature in space.features]}
    return {
        "summary": "Answer rows as tensors, one a feature: as JSON, or as binary tensor data behind it.",
        "parameters": HEADERS,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": body, "examples": {"row": {"value": example}}}},
        },
        "responses": {
            "200": {"description": "The answers.", "content": {"application/json": {"schema": answered}}},
            **failures(400, 401, 404, 413, 415, 500, 503, 504),
        },
    }


def _with_name(name: Json) -> Json:
    return {"type": "object", "properties": {"name": name}, "required": ["name"]}


def _input(feature: Feature) -> Json:
    item = value_schema(feature)
    while "items" in item:  # elements may lie flat, in row-major order
        item = item["items"]
    if isinstance(feature, Categorical):
        item = {"type": "string"}
    return {
        "type": "object",
        "properties": {
            "name": {"const": feature.name},
            "datatype": {"const": datatype_of(feature)},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}},
            "data": {"type": "array", "items": item, "minItems": 1},
        },
        "required": ["name", "datatype", "shape"],
    }


def _tensor(feature: Feature, values: list[object]) -> Json:
    shape = [len(values), *(feature.shape if isinstance(feature, Tensor) else ())]
    return {"name": feature.name, "datatype": datatype_of(feature), "shape": shape, "data": values}
