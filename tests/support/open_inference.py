"""Requests of the Open Inference Protocol, written down by hand."""

from __future__ import annotations

import json
import struct
from typing import Any

# Input tensors by name: datatype, shape, and JSON elements or binary data.
Inputs = dict[str, tuple[str, list[int], list[Any] | bytes]]


def byte_strings(*values: str | bytes) -> bytes:
    """Return the binary data of a ``BYTES`` tensor."""
    encoded = [value.encode() if isinstance(value, str) else value for value in values]
    return b"".join(struct.pack("<I", len(value)) + value for value in encoded)


def infer_body(inputs: Inputs, **fields: Any) -> tuple[bytes, str | None]:
    """Return a request's body and its ``Inference-Header-Content-Length``, None where all of it is JSON."""
    tensors, binary = [], b""
    for name, (datatype, shape, data) in inputs.items():
        tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape}
        if isinstance(data, bytes):
            tensor["parameters"] = {"binary_data_size": len(data)}
            binary += data
        else:
            tensor["data"] = data
        tensors.append(tensor)
    head = json.dumps({"inputs": tensors, **fields}).encode()
    return head + binary, str(len(head)) if binary else None
