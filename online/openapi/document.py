"""The OpenAPI 3.1 document of a server: paths and schemas that follow from the feature spaces of what it serves."""

from __future__ import annotations

from online.openapi.schema import Json, closed_object, get_operation, output_schema, value_schema
from online.openapi.v1 import v1_paths
from online.openapi.v2 import SERVER_PATHS, v2_paths
from online.served import ServedHolder


def document(holder: ServedHolder, *, version: str, max_rows: int) -> Json:
    """Return the document; ``version`` is the program's, ``max_rows`` the most rows a body may have."""
    paths: Json = {}
    schemas: Json = {"Error": closed_object({"error": {"type": "string"}})}
    for model in holder.models:
        served = holder.get(model)
        outputs = served.predictor.schema.outputs
        schemas[f"{model}.row"] = closed_object({f.name: value_schema(f) for f in served.predictor.space.features})
        schemas[f"{model}.outputs"] = closed_object({o.name: output_schema(o) for o in outputs})
        paths |= v1_paths(holder, served, max_rows) | v2_paths(holder, served)
    paths |= SERVER_PATHS | {path: {"get": get_operation(what, {"type": "object"})} for path, what in _OPERATIONS}
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
    ("/livez", "Say that requests are answered at all."),
    ("/readyz", "Say what is served."),
    ("/openapi.json", "Return this document."),
)
