"""Which of the points at which something is broken a test run takes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def chosen(points: Sequence[T]) -> Sequence[T]:
    """Return all points in a soak (``make soak-batch``), and every second one in a test run, which has minutes."""
    return points if os.environ.get("SOAK_BATCH") else points[::2]
