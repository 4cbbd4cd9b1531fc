"""Sends requests to a topic at a constant rate: ``… SERVERS TOPIC PARTITIONS ROWS RUN RATE COUNT START SENT``.

Request ``i`` is due at ``START + i / RATE`` of the machine's monotonic clock, and its key is ``RUN:i``. When each was
sent goes to the file ``SENT``, as numpy writes it: float64 of shape (COUNT,).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from confluent_kafka import Producer

# To wake for each record would take as much of the processor as the stream does; a thousandth of a second is lost.
_WAKE_S = 0.001
_FLUSH_S = 30


def main(argv: Sequence[str]) -> int:
    """Send; return the exit code."""
    servers, topic, partitions, rows, run, rate, count, start, target = argv
    values, spread = Path(rows).read_bytes().splitlines(), int(partitions)
    sent_s = np.empty(int(count))
    # A broker takes the requests of a connection one after the other, and librdkafka makes one a partition. So what is
    # sent together goes to one partition, and what comes while a few are under way is sent with the next: or else the
    # requests would queue here, before they are in the topic.
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "linger.ms": 0,
            "acks": 1,
            "max.in.flight.requests.per.connection": 2,
            "socket.nagle.disable": True,
        }
    )
    producer.list_topics(topic, _FLUSH_S)  # connects
    number, wakes, begin, a_second = 0, 0, float(start), float(rate)
    while number < len(sent_s):
        now = time.monotonic()
        due = min(len(sent_s), int((now - begin) * a_second) + 1) if now >= begin else 0
        for place in range(number, due):
            value, key = values[place % len(values)], f"{run}:{place}"
            producer.produce(topic, value, key, wakes % spread)
        if due > number:
            sent_s[number:due] = now
            number, wakes = due, wakes + 1
        producer.poll(0)
        time.sleep(max(_WAKE_S, begin + number / a_second - time.monotonic()))
    left = producer.flush(_FLUSH_S)
    np.save(target, sent_s)
    return 1 if left else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
