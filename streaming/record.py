"""Records of Kafka, as they come and as they go."""

from __future__ import annotations

from typing import NamedTuple

# Names may come twice; a value may be null.
Headers = tuple[tuple[str, bytes | None], ...]
# Of a request whose headers cannot be read: some name among them is not UTF-8.
UNREADABLE: Headers = (("", None),)


class Partition(NamedTuple):
    """One partition of a topic."""

    topic: str
    number: int


class Record(NamedTuple):
    """A record that came.

    Attributes:
        partition: where it lies.
        offset: its place there.
        timestamp_ms: Unix time, of its producer or of the broker, as the topic is set; -1 where it has none.
        key: or None.
        value: or None, which in Kafka is a tombstone.
        headers: in their order.
    """

    partition: Partition
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Outgoing(NamedTuple):
    """A record to send.

    Attributes:
        partition: where to.
        key: or None.
        value: or None.
        headers: in their order.
    """

    partition: Partition
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
