"""An inference request: its JSON, and the binary tensor data behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from engine.errors import InvalidInput, TooManyRows
from engine.output import OutputSchema
from engine.space import FeatureSpace
from engine.wire.json_document import kind_of, parse_json
from online.open_inference.tensor import InputTensor, checked_shape, datatype_named

# How many bytes of the body are JSON; the rest is binary tensor data.
HEADER_LENGTH = "Inference-Header-Content-Length"
# More are no length of any body; Python would refuse to read thousands of them.
_MOST_DIGITS = 20
# Triton's other extensions: what asks for one would be misunderstood without it.
_SHARED_MEMORY = ("shared_memory_region", "shared_memory_offset", "shared_memory_byte_size")
_SEQUENCE = ("sequence_id", "sequence_start", "sequence_end")


class InferRequest(NamedTuple):
    """A request, read; values are not judged yet, but by the space's encoders.

    Attributes:
        id: the client's, or None.
        tensors: by feature; all of as many rows.
        outputs: the names of the outputs to answer, in order; each with whether as binary tensor data.
        timeout_s: how long the answer is of use, or None for ever.
    """

    id: str | None
    tensors: Mapping[str, InputTensor]
    outputs: Mapping[str, bool]
    timeout_s: float | None

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return next(iter(self.tensors.values())).shape[0]

    def table(self) -> pa.Table:
        """Return a column a feature, which may lie in the body.

        Raises:
            InvalidInput: a tensor's data is not what its shape and datatype say.
        """
        return pa.table({name: tensor.column() for name, tensor in self.tensors.items()})

    def row(self) -> dict[str, object]:
        """Return the only row.

        Raises:
            InvalidInput: as ``table``.
        """
        return {name: tensor.value() for name, tensor in self.tensors.items()}


def parse_request(
    body: bytes, header_length: str | None, space: FeatureSpace, schema: OutputSchema, *, max_rows: int
) -> InferRequest:
    """Read a request.

    Args:
        body: JSON and binary tensor data, in which the tensors lie.
        header_length: the header ``Inference-Header-Content-Length``; None where all of the body is JSON.
        space: of the model.
        schema: of the model's outputs.
        max_rows: the most rows.

    Raises:
        InvalidInput: it is not such a request of this model, or asks for an extension that is not here.
        TooManyRows: it has too many.
    """
    length = _json_bytes(body, header_length)
    document = parse_json(memoryview(body)[:length], what="the inference request")
    if not isinstance(document, dict):
        message = f"the inference request must be a JSON object with 'inputs'; got {kind_of(document)}"
        raise InvalidInput(message, cause="bad_body")
    identifier = document.get("id")
    if identifier is not None and not isinstance(identifier, str):
        message = f"'id' must be a text; got {kind_of(identifier)}"
        raise InvalidInput(message, cause="bad_body")
    parameters = _parameters(document, "the request")
    _refuse_extension(parameters, _SEQUENCE, "the request", "one request at a time, without sequences")
    return InferRequest(
        id=identifier,
        tensors=_tensors(document.get("inputs"), memoryview(body)[length:], space, max_rows),
        outputs=_outputs(document.get("outputs"), schema, _flag(parameters, "binary_data_output", False)),
        timeout_s=_timeout_s(parameters),
    )


def _json_bytes(body: bytes, header_length: str | None) -> int:
    if header_length is None:
        return len(body)
    is_number = header_length.isascii() and header_length.isdigit() and len(header_length) <= _MOST_DIGITS
    if not (is_number and 0 < int(header_length) <= len(body)):
        message = (
            f"{HEADER_LENGTH} must be how many of the body's {len(body)} bytes are JSON; got {header_length[:40]!r}"
        )
        raise InvalidInput(message, cause="bad_body")
    return int(header_length)


def _tensors(inputs: object, binary: memoryview, space: FeatureSpace, max_rows: int) -> dict[str, InputTensor]:
    if not isinstance(inputs, list) or not inputs:
        message = f"'inputs' must be a list of tensors, one a feature ({', '.join(space.names)}); got {kind_of(inputs)}"
        raise InvalidInput(message, cause="bad_body")
    tensors: dict[str, InputTensor] = {}
    used, rows = 0, 0
    for item in inputs:
        name = _name(item, "inputs")
        feature = space.named.get(name)
        if feature is None:
            message = f"feature {name[:80]!r} must be one of {', '.join(space.names)}. Remove it"
            raise InvalidInput(message, cause="extra_feature", feature=name[:80])
        if name in tensors:
            message = f"feature {name!r} must be given once; got it twice"
            raise InvalidInput(message, cause="bad_body", feature=name)
        shape = checked_shape(item.get("shape"), feature)
        if shape[0] > max_rows:
            message = f"a request must have {max_rows} rows or fewer; got {shape[0]}. Send several requests"
            raise TooManyRows(message, cause="too_many_rows")
        if shape[0] != rows and tensors:
            message = f"feature {name!r} must have {rows} rows, as {next(iter(tensors))!r}; got {shape[0]}"
            raise InvalidInput(message, cause="bad_body", feature=name)
        rows, data = shape[0], item.get("data")
        if type(data) is not list or not data or "parameters" in item:  # most have a list, and nothing else to look at
            data = _data(item, f"feature {name!r}", binary[used:])
            used += len(data) if isinstance(data, memoryview) else 0
        tensors[name] = InputTensor(feature, datatype_named(item.get("datatype"), feature), shape, data)
    if used != len(binary):
        message = f"binary_data_size of all inputs must add up to the {len(binary)} bytes behind the JSON; got {used}"
        raise InvalidInput(message, cause="bad_body")
    if len(tensors) < len(space.names):
        missing = next(name for name in space.names if name not in tensors)
        message = f"feature {missing!r} must be given; got {', '.join(tensors)}"
        raise InvalidInput(message, cause="missing_feature", feature=missing)
    return tensors


def _data(item: dict[str, Any], where: str, binary: memoryview) -> list[Any] | memoryview:
    """Return an input's elements, or its part of the binary data: the first bytes of what no input has used yet."""
    parameters = _parameters(item, where)
    _refuse_extension(parameters, _SHARED_MEMORY, where, "data in the body, not in shared memory")
    data, size = item.get("data"), parameters.get("binary_data_size")
    if (data is None) == (size is None):
        got = "neither" if size is None else "both"
        message = f"{where} must have either data or the parameter binary_data_size; got {got}"
        raise InvalidInput(message, cause="bad_body")
    if size is None:
        if not isinstance(data, list) or not data:
            message = f"{where} must have a list of elements as data; got {kind_of(data)}"
            raise InvalidInput(message, cause="bad_body")
        return data
    if type(size) is not int or not 0 <= size <= len(binary):
        got = str(size) if type(size) is int else kind_of(size)
        message = f"{where} must have a binary_data_size within the {len(binary)} bytes that are left for it; got {got}"
        raise InvalidInput(message, cause="bad_body")
    return binary[:size]


def _outputs(outputs: object, schema: OutputSchema, default_binary: bool) -> dict[str, bool]:
    if outputs is None or outputs == []:
        return dict.fromkeys(schema.names, default_binary)
    if not isinstance(outputs, list):
        message = f"'outputs' must be a list of outputs; got {kind_of(outputs)}"
        raise InvalidInput(message, cause="bad_body")
    asked: dict[str, bool] = {}
    for item in outputs:
        name = _name(item, "outputs")
        where = f"output {name[:80]!r}"
        if name not in schema.slices or name in asked:
            message = f"{where} must be one of {', '.join(schema.names)}, and given once"
            raise InvalidInput(message, cause="bad_body")
        parameters = _parameters(item, where)
        _refuse_extension(parameters, _SHARED_MEMORY, where, "values in the body, not in shared memory")
        _refuse_extension(parameters, ("classification",), where, "values as they are, without classification")
        asked[name] = _flag(parameters, "binary_data", default_binary)
    return asked


def _name(item: object, place: str) -> str:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        message = f"each of '{place}' must be an object with a name; got {kind_of(item)}"
        raise InvalidInput(message, cause="bad_body")
    return str(item["name"])


def _parameters(item: dict[str, Any], where: str) -> dict[str, Any]:
    parameters = item.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        message = f"'parameters' of {where} must be an object; got {kind_of(parameters)}"
        raise InvalidInput(message, cause="bad_body")
    return parameters or {}


def _flag(parameters: dict[str, Any], name: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        message = f"the parameter {name} must be true or false; got {kind_of(value)}"
        raise InvalidInput(message, cause="bad_body")
    return value


def _timeout_s(parameters: dict[str, Any]) -> float | None:
    """Return Triton's ``timeout``, which is in microseconds; 0 is none."""
    timeout = parameters.get("timeout", 0)
    if type(timeout) is not int or not 0 <= timeout < 1 << 63:
        got = timeout if type(timeout) is int else kind_of(timeout)
        message = f"the parameter timeout must be a number of microseconds, 0 for none; got {got}"
        raise InvalidInput(message, cause="bad_body")
    return timeout / 1e6 if timeout else None


def _refuse_extension(parameters: dict[str, Any], names: tuple[str, ...], where: str, wanted: str) -> None:
    for name in names:
        if name in parameters:
            message = f"{where} must ask for {wanted}; got the parameter {name}. Remove it"
            raise InvalidInput(message, cause="bad_body")
