"""Reads answers as soon as they are committed: ``… SERVERS TOPIC PARTITIONS RUN COUNT PATIENCE_S SEEN``.

Prints ``ready`` once it reads from the topic's end on. When each answer whose key is ``RUN:i`` was seen, on the
machine's monotonic clock, goes to the file ``SEEN``, as numpy writes it: float64 of shape (COUNT,), NaN for none. It
ends when all have come, or nothing has for ``PATIENCE_S``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from confluent_kafka import OFFSET_END, Consumer, TopicPartition

_MOST = 10_000
_TIMEOUT_S = 10
_WAIT_S = 0.2


def main(argv: Sequence[str]) -> None:
    """Read."""
    servers, topic, partitions, run, count, patience, target = argv
    mine, seen_s = f"{run}:".encode(), np.full(int(count), np.nan)
    consumer: Any = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": f"{topic}-reader",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "socket.nagle.disable": True,
            "fetch.wait.max.ms": 500,  # the broker answers when something comes, whatever this is
            "fetch.min.bytes": 1,
        }
    )
    places = [TopicPartition(topic, number, OFFSET_END) for number in range(int(partitions))]
    # Where the end is now: who starts there by name may pass over what comes while it asks.
    consumer.assign(consumer.offsets_for_times(places, _TIMEOUT_S))
    print("ready", flush=True)
    missing, last = len(seen_s), time.monotonic()
    while missing and time.monotonic() < last + float(patience):
        messages = consumer.consume(1, _WAIT_S)
        if messages:
            messages += consumer.consume(_MOST, 0)
        now = time.monotonic()
        for message in messages:
            key = message.key()
            if message.error() is None and key is not None and key.startswith(mine):
                seen_s[int(key[len(mine) :])] = last = now
                missing -= 1
    consumer.close()
    np.save(target, seen_s)


if __name__ == "__main__":
    main(sys.argv[1:])
