"""A member of a group that tests kill: takes records, sends answers in a transaction, and never commits.

``python -m tests.support.kafka_member CLIENT SERVERS GROUP TOPIC ANSWERS`` prints ``holding`` when it is that far.
"""

from __future__ import annotations

import sys

from streaming.clients.client import ClientSettings, open_client
from streaming.record import Outgoing, Partition, Record


def main(name: str, servers: str, group: str, topic: str, answers: str) -> None:
    """Hold records and an open transaction until killed."""
    settings = ClientSettings(
        servers=servers, group=group, transactional_id=f"{group}-held", session_timeout_ms=6_000, instance_id=None
    )
    client = open_client(name, settings)
    client.subscribe(topic, lambda lost: None)
    records: list[Record] = []
    while not records:
        records = client.poll(0.1, 100)
    client.begin()
    for record in records:
        client.send(Outgoing(Partition(answers, 0), None, b"held " + (record.value or b"")))
    print("holding", flush=True)
    while True:
        client.poll(1.0, 1)  # stays a member


if __name__ == "__main__":
    main(*sys.argv[1:])
