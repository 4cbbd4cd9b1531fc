"""What the server and its models are, as the protocol describes them."""

from __future__ import annotations

from typing import Any

from engine.feature import Tensor
from online.open_inference.datatype import FP32, datatype_of
from online.served import Served

# The protocol's <project>_<format>.
_PLATFORM = "litert_tflite"
_EXTENSIONS = ["binary_tensor_data"]


def server_metadata(version: str) -> dict[str, Any]:
    """Return the server's metadata; ``version`` is the program's."""
    return {"name": "foretable", "version": version, "extensions": _EXTENSIONS}


def model_metadata(served: Served, releases: list[int]) -> dict[str, Any]:
    """Return a model's metadata: the inputs and outputs of what is served, and all releases that can be asked."""
    predictor = served.predictor
    return {
        "name": served.model,
        "versions": [str(release) for release in releases],
        "platform": _PLATFORM,
        "inputs": [
            _tensor(f.name, datatype_of(f), f.shape if isinstance(f, Tensor) else ()) for f in predictor.space.features
        ],
        "outputs": [_tensor(o.name, FP32, (o.width,) if o.width > 1 else ()) for o in predictor.schema.outputs],
    }


def _tensor(name: str, datatype: str, shape: tuple[int, ...]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [-1, *shape]}
