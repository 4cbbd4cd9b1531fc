"""Settings of the stream."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.errors import BadSettings
from engine.settings import SettingsParser, integer, names, one_of, seconds, setting, text
from streaming.clients.client import CLIENTS

EXACTLY_ONCE, AT_LEAST_ONCE = DELIVERIES = ("exactly-once", "at-least-once")
LATENCY, THROUGHPUT = PROFILES = ("latency", "throughput")
LATE = ("default", "dead-letter")
FORMATS = ("text", "json")
PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


def _topic(given: str) -> str:
    if not _TOPIC.fullmatch(given):
        message = "a topic: letters, digits, dots, hyphens and underscores, 249 at most"
        raise ValueError(message)
    return given


def _boolean(given: str) -> bool:
    if given not in {"true", "false"}:
        message = "true or false"
        raise ValueError(message)
    return given == "true"


def _security(help_text: str, key: str, *, secret: bool = False, parse: Any = text) -> Any:  # as dataclasses.field
    made = setting(help_text, parse, secret=secret, default=None)
    return field(default=None, metadata={**made.metadata, "kafka": key})


@dataclass(frozen=True, kw_only=True)
class StreamConfig:
    """All settings of one stream. Sizes are in rows or records, times in seconds.

    Each field is ``--name`` on the command line and ``FORETABLE_NAME`` in the environment.
    """

    registry: str = setting("root of the registry: a path or URL; must be given", text)
    model: str = setting("name of the model; must be given", text)
    brokers: str = setting("where to find the brokers: host:port, joined by commas; must be given", text)
    requests: str = setting("topic of the requests; must be given", _topic)
    predictions: str = setting("topic of the predictions; must be given", _topic)
    dead_letters: str = setting("topic of what cannot be answered; must be given", _topic)
    label: str = setting("label to follow", text, default="production")
    group: str = setting("consumer group; foretable-MODEL if not given", text, default="")
    instance: str = setting(
        "this instance's own name, the same after a restart; the host's if not given",
        text,
        default=socket.gethostname(),
    )
    static: bool = setting(
        "true: keep the partitions over a restart; they wait for the session's end when it does not come back",
        _boolean,
        default=False,
    )
    delivery: str = setting(
        "exactly-once, by transactions, or at-least-once", one_of(*DELIVERIES), default=EXACTLY_ONCE
    )
    client: str = setting("kafka-python, or confluent (extra [fast-kafka])", one_of(*CLIENTS), default=CLIENTS[0])
    profile: str = setting("latency: small batches at once; throughput: large ones", one_of(*PROFILES), default=LATENCY)
    batch_records: int = setting("most records in one transaction", integer(1, 1_000_000), default=10_000)
    max_rows: int = setting("most rows in one record", integer(1, 1 << 30), default=100_000)
    late: str = setting("what a request gets whose deadline has passed", one_of(*LATE), default="default")
    attempts: int = setting("tries before a fault that may pass makes dead letters", integer(1, 1000), default=5)
    redact: tuple[str, ...] = setting("features whose values dead letters must not show", names, default=())
    session_s: float = setting(
        "seconds without a sign after which the group gives this member up", seconds, default=45.0
    )
    drain_s: int = setting("seconds that the transaction under way has after SIGTERM", integer(1, 3600), default=30)
    threads: int = setting("model interpreters: batches that infer at once", integer(1, 256), default=2)
    scratch: str | None = setting(
        "directory for private copies of tables; the system's if not given", text, default=None
    )
    poll_s: float = setting("seconds between two looks at the label", seconds, default=5.0)
    scrub_s: float = setting("seconds in which every block of the table is checked once more", seconds, default=3600.0)
    monitor_host: str = setting("address of /metrics, /livez and /readyz", text, default="127.0.0.1")
    monitor_port: int = setting("port of them; 0 picks a free one", integer(0, 65535), default=9100)
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

    def __post_init__(self) -> None:
        """Check what no field can know alone."""
        topics = (self.requests, self.predictions, self.dead_letters)
        if len(set(topics)) < len(topics):
            message = f"--requests, --predictions and --dead-letters must be three topics; got {', '.join(topics)}"
            raise BadSettings(message)

    @property
    def group_name(self) -> str:
        """The consumer group."""
        return self.group or f"foretable-{self.model}"


def parse_config(argv: Sequence[str], environment: Mapping[str, str]) -> tuple[StreamConfig, bool]:
    """Return the settings, and whether ``--check`` was given.

    Raises:
        BadSettings: a setting is missing, unknown or cannot be read.
    """
    parser = SettingsParser(
        StreamConfig,
        program="foretable stream",
        description="Answer requests of a Kafka topic on another, table first, each exactly once.",
    )
    parser.options.add_argument("model_name", metavar="MODEL", nargs="?", help="the same as --model")
    parser.options.add_argument("--check", action="store_true", help="load everything, reach the brokers, exit")
    given = vars(parser.options.parse_args(argv))
    given["model"] = given["model"] or given["model_name"]
    return parser.read(given, environment), given["check"]
