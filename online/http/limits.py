"""What one connection, and all of them, may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Sizes are in bytes, times in seconds; times are looked at once a second.

    Attributes:
        body_bytes: of one body.
        buffered_bytes: of the bodies of all requests that are read or answered at once.
        connections: at once; past them the one that has been idle for longest is closed.
        idle_s: without a request. Longer than load balancers keep theirs (60 s is usual), so that the balancer closes
            first: else it sends a request into a connection that we close just then.
        head_bytes: of request line and headers together.
        head_s: from a request's first byte to the end of its headers.
        stall_s: without a byte of a body that is not all here.
        unread_s: without a byte of an answer taken.
        linger_s: that a client which was refused while it sent its body has to read why.
    """

    body_bytes: int
    buffered_bytes: int
    connections: int = 4096
    idle_s: float = 75
    head_bytes: int = 64 << 10
    head_s: float = 10
    stall_s: float = 10
    unread_s: float = 30
    linger_s: float = 2
