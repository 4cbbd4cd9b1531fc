"""How large a record is on its way, and whether a topic takes it."""

from __future__ import annotations

from streaming.clients.client import TooLarge
from streaming.record import Outgoing

# No client sends more at once; brokers refuse requests of 100 MB (socket.request.max.bytes).
LARGEST_BYTES = 64 * 1024 * 1024
# What a batch of one record adds to key, value and headers: 61 of the batch, 36 of the record at most.
_OVERHEAD_BYTES = 97
_HEADER_OVERHEAD_BYTES = 10


class RecordSizes:
    """How large a record each topic takes, as far as that is known."""

    def __init__(self) -> None:
        self._limits: dict[str, int] = {}

    def learn(self, topic: str, limit_bytes: int) -> None:
        """Take note of a topic's ``max.message.bytes``."""
        self._limits[topic] = min(limit_bytes, LARGEST_BYTES)

    @property
    def smallest(self) -> int:
        """What all topics take, of those that are known."""
        return min(self._limits.values(), default=LARGEST_BYTES)

    @property
    def unchecked_bytes(self) -> int:
        """How long key and value of a record without headers may be together and need no look: each topic takes it."""
        return self.smallest - _OVERHEAD_BYTES

    def check(self, record: Outgoing) -> None:
        """Raise ``TooLarge`` where a record, sent alone, is larger than its topic takes; some 50 bytes before it is."""
        partition, key, value, headers = record
        size = _OVERHEAD_BYTES + (len(value) if value else 0) + (len(key) if key else 0)
        for name, text in headers:
            name_bytes = len(name) if name.isascii() else 4 * len(name)
            size += _HEADER_OVERHEAD_BYTES + name_bytes + (len(text) if text else 0)
        limit = self._limits.get(partition.topic, LARGEST_BYTES)
        if size > limit:
            message = (
                f"topic {partition.topic!r}: a record must be of {limit:,} bytes or fewer, with its key, headers and "
                f"framing; got one of about {size:,}. Send less, or raise the topic's max.message.bytes."
            )
            raise TooLarge(message)
