"""What a listener is busy with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Traffic:
    """Written by the listener and its connections, on the event loop's thread; others may read.

    Attributes:
        connections: open now.
        buffered_bytes: of the bodies that are read or answered now.
        lag_s: by how much the event loop's last second came late: how long whatever comes waits to be looked at.
    """

    connections: int = 0
    buffered_bytes: int = 0
    lag_s: float = 0.0
