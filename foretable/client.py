"""The client of the server: ``from foretable.client import Client``. It needs the extra ``client``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from online.client import AsyncClient, Client, Prediction, Predictions

__all__ = ["AsyncClient", "Client", "Prediction", "Predictions"]


def __getattr__(name: str) -> Any:  # any public name
    """Load a public name from its home."""
    if name not in __all__:
        message = f"module 'foretable.client' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(importlib.import_module("online.client"), name)
