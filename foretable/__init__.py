"""Foretable: precompute what you can, infer the rest.

The front door: public names, loaded when first used, and the command line. It has no logic of its own.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.definition import Definition, Examples, TrainSettings
    from engine.feature import Bucketed, Categorical, Number, Tensor, Unknown
    from engine.limits import GateLimits
    from engine.output import Output
    from engine.predictor import Predictor
    from engine.registry import Registry
    from engine.space import FeatureSpace

__version__ = "0.1.0"

_HOMES = {
    "Bucketed": "engine.feature",
    "Categorical": "engine.feature",
    "Definition": "engine.definition",
    "Examples": "engine.definition",
    "FeatureSpace": "engine.space",
    "GateLimits": "engine.limits",
    "Number": "engine.feature",
    "Output": "engine.output",
    "Predictor": "engine.predictor",
    "Registry": "engine.registry",
    "Tensor": "engine.feature",
    "TrainSettings": "engine.definition",
    "Unknown": "engine.feature",
}

__all__ = [
    "Bucketed",
    "Categorical",
    "Definition",
    "Examples",
    "FeatureSpace",
    "GateLimits",
    "Number",
    "Output",
    "Predictor",
    "Registry",
    "Tensor",
    "TrainSettings",
    "Unknown",
    "__version__",
]


def __getattr__(name: str) -> Any:  # any public name
    """Load a public name from its home."""
    if name not in _HOMES:
        message = f"module 'foretable' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(importlib.import_module(_HOMES[name]), name)
