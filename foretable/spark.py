"""The DataFrame door: ``from foretable.spark import score``. It needs the extra ``spark``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobs.dataframe import score

__all__ = ["score"]


def __getattr__(name: str) -> Any:  # any public name
    """Load a public name from its home."""
    if name not in __all__:
        message = f"module 'foretable.spark' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(importlib.import_module("jobs.dataframe"), name)
