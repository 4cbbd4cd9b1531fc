"""The three topics of a stream, and the program over them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.kafka import Kafka
from tests.support.kafka_topic import fill, values_in
from tests.support.stream_process import StreamProcess
from tests.support.synthetic import FINITE_NAME

PARTITIONS = 3


@dataclass
class Topics:
    """The topics of one test. Each stream over them is of one group, and asks by one client."""

    kafka: Kafka
    client: str
    requests: str
    predictions: str
    dead_letters: str

    @classmethod
    def fresh(cls, kafka: Kafka, client: str, *, partitions: int = PARTITIONS) -> Topics:
        """Make empty ones."""
        names = [kafka.fresh_topic(name, partitions=partitions) for name in ("requests", "predictions", "letters")]
        return cls(kafka, client, *names)

    def stream(
        self, registry: Path, folder: Path, *options: str, instance: str = "a", model: str = FINITE_NAME
    ) -> StreamProcess:
        """Start the program; options that come last win."""
        settings = {
            "registry": registry,
            "model": model,
            "brokers": self.kafka.bootstrap,
            "requests": self.requests,
            "predictions": self.predictions,
            "dead-letters": self.dead_letters,
            "group": self.requests,
            "instance": instance,
            "client": self.client,
            "session-s": "6",
        }
        given = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
        return StreamProcess(*given, *options, logs=folder / f"log-{instance}")

    def fill(self, *values: Any) -> None:
        """Send requests, spread over the partitions."""
        encoded = [value if isinstance(value, bytes) else json.dumps(value).encode() for value in values]
        fill(self.kafka.bootstrap, self.requests, encoded, partitions=PARTITIONS)

    def answers(self) -> list[Any]:
        """Return the predictions in JSON, by the requests' place."""
        found = [json.loads(value) for value in values_in(self.kafka.bootstrap, self.predictions) if value]
        return sorted(found, key=lambda each: (each["request"]["offset"], each["request"]["partition"]))

    def places(self) -> list[tuple[int, int]]:
        """Return of which partition and offset there is an answer, in the order of the topic's partitions."""
        values = values_in(self.kafka.bootstrap, self.predictions)
        told = [json.loads(value)["request"] for value in values if value]
        return [(each["partition"], each["offset"]) for each in told]
