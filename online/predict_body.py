"""TensorFlow Serving's predict bodies: ``instances`` (rows) and ``inputs`` (columns)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.errors import InvalidInput, TooManyRows
from engine.space import FeatureSpace
from engine.wire.json_document import kind_of, parse_json

SIGNATURE = "serving_default"


@dataclass(frozen=True)
class PredictBody:
    """A body, read.

    Attributes:
        rows: raw values by feature name.
        columnar: whether it came, and is answered, in columns.
    """

    rows: list[dict[str, Any]]
    columnar: bool


def parse_body(data: bytes, space: FeatureSpace, *, max_rows: int) -> PredictBody:
    """Read a body; values are not judged here, but by the space's encoders.

    Raises:
        InvalidInput: it is not JSON, or not in one of the two forms.
        TooManyRows: it has more than ``max_rows`` rows.
    """
    if not data.strip():
        message = "the body must be a JSON object with 'instances' or 'inputs'; got an empty body"
        raise InvalidInput(message, cause="bad_body")
    document = parse_json(data, what="the body")
    if not isinstance(document, dict):
        message = f"the body must be a JSON object with 'instances' or 'inputs'; got {kind_of(document)}"
        raise InvalidInput(message, cause="bad_body")
    signature = document.get("signature_name") or SIGNATURE
    if signature != SIGNATURE:
        message = f"signature_name must be {SIGNATURE!r}; got {str(signature)[:80]!r}"
        raise InvalidInput(message, cause="bad_body")
    if ("instances" in document) == ("inputs" in document):
        keys = ", ".join(repr(str(key)[:40]) for key in list(document)[:12]) or "none"
        message = f"the body must have either 'instances' or 'inputs'; got {keys}"
        raise InvalidInput(message, cause="bad_body")
    if "inputs" in document:
        return PredictBody(_rows_of_columns(document["inputs"], space, max_rows), columnar=True)
    return PredictBody(_rows(document["instances"], space, max_rows), columnar=False)


def _rows(instances: object, space: FeatureSpace, max_rows: int) -> list[dict[str, Any]]:
    if not isinstance(instances, list) or not instances:
        message = f"'instances' must be a list of at least one row; got {kind_of(instances)}"
        raise InvalidInput(message, cause="bad_body")
    _check_count(len(instances), max_rows)
    if len(space.names) == 1 and not isinstance(instances[0], dict):
        # One feature needs no name, as in TensorFlow Serving.
        return [{space.names[0]: value} for value in instances]
    if set(map(type, instances)) != {dict}:
        number, row = next((number, row) for number, row in enumerate(instances) if not isinstance(row, dict))
        message = f"row {number} of 'instances' must be an object of {', '.join(space.names)}; got {kind_of(row)}"
        raise InvalidInput(message, cause="bad_body")
    return instances


def _rows_of_columns(inputs: object, space: FeatureSpace, max_rows: int) -> list[dict[str, Any]]:
    if isinstance(inputs, list) and len(space.names) == 1:
        inputs = {space.names[0]: inputs}
    if not isinstance(inputs, dict) or not inputs:
        message = (
            f"'inputs' must be an object of lists, one a feature ({', '.join(space.names)}); got {kind_of(inputs)}"
        )
        raise InvalidInput(message, cause="bad_body")
    first = len(next(iter(inputs.values()))) if isinstance(next(iter(inputs.values())), list) else 0
    for name, values in inputs.items():
        if not isinstance(values, list) or not values or len(values) != first:
            got = f"{len(values)} values" if isinstance(values, list) else kind_of(values)
            message = f"feature {name[:80]!r} must be a list of one value a row, as long as the others; got {got}"
            raise InvalidInput(message, cause="bad_body", feature=name[:80])
    _check_count(first, max_rows)
    names = list(inputs)
    return [dict(zip(names, row, strict=True)) for row in zip(*inputs.values(), strict=True)]


def _check_count(rows: int, max_rows: int) -> None:
    if rows > max_rows:
        message = f"a request must have {max_rows} rows or fewer; got {rows}. Send several requests"
        raise TooManyRows(message, cause="too_many_rows")
