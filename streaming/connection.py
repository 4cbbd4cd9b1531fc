"""Settings of every program that speaks to Kafka: where the brokers are, and what lets it in."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from engine.settings import one_of, setting, text
from streaming.clients.client import CLIENTS, Client, ClientSettings, open_client

FORMATS = ("text", "json")
PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


def topic_name(given: str) -> str:
    """Read the name of a topic."""
    if not _TOPIC.fullmatch(given):
        message = "a topic: letters, digits, dots, hyphens and underscores, 249 at most"
        raise ValueError(message)
    return given


def _security(help_text: str, key: str, *, secret: bool = False, parse: Any = text) -> Any:  # as dataclasses.field
    made = setting(help_text, parse, secret=secret, default=None)
    return dataclasses.field(default=None, metadata={**made.metadata, "kafka": key})


@dataclass(frozen=True, kw_only=True)
class Connection:
    """What the settings of such a program begin with; each has further ones."""

    brokers: str = setting("where to find the brokers: host:port, joined by commas; must be given", text)
    client: str = setting("kafka-python, or confluent (extra [fast-kafka])", one_of(*CLIENTS), default=CLIENTS[0])
    log_format: str = setting("how the log is written: text or json", one_of(*FORMATS), default="text")
    security_protocol: str | None = _security(
        f"one of {', '.join(PROTOCOLS)}", "security.protocol", parse=one_of(*PROTOCOLS)
    )
    sasl_mechanism: str | None = _security("PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 …", "sasl.mechanism")
    sasl_username: str | None = _security("user name for SASL", "sasl.username")
    sasl_password: str | None = _security("password for SASL", "sasl.password", secret=True)
    ssl_ca: str | None = _security("PEM file of the authorities that brokers' certificates are of", "ssl.ca.location")
    ssl_cert: str | None = _security("PEM file of this client's certificate", "ssl.certificate.location")
    ssl_key: str | None = _security("PEM file of its key", "ssl.key.location")
    ssl_key_password: str | None = _security("password of that file", "ssl.key.password", secret=True)

    @property
    def security(self) -> dict[str, str]:
        """The security settings that were given, by librdkafka's names."""
        names = {field.name: field.metadata.get("kafka") for field in dataclasses.fields(self)}
        return {key: getattr(self, name) for name, key in names.items() if key and getattr(self, name)}


@contextmanager
def opened(
    connection: Connection, *, group: str, transactional_id: str | None = None, instance_id: str | None = None
) -> Iterator[Client]:
    """Open a client with these settings, and close it after.

    Raises:
        Unavailable: no broker answers.
        BadSettings: the settings are wrong.
    """
    settings = ClientSettings(
        servers=connection.brokers,
        group=group,
        transactional_id=transactional_id,
        instance_id=instance_id,
        security=connection.security,
    )
    client = open_client(connection.client, settings)
    try:
        yield client
    finally:
        client.close()
