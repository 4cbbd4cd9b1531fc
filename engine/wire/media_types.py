"""Media types that the server, its client and its profile all speak of."""

from __future__ import annotations

ARROW_STREAM = "application/vnd.apache.arrow.stream"
