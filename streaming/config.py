"""Settings of the stream."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.errors import BadSettings
from engine.settings import PREFIX, SettingsParser, boolean, integer, names, one_of, seconds, setting, text
from streaming.connection import Connection, topic_name

PROGRAM = "foretable stream"
EXACTLY_ONCE, AT_LEAST_ONCE = DELIVERIES = ("exactly-once", "at-least-once")
LATENCY, THROUGHPUT = PROFILES = ("latency", "throughput")
LATE = ("default", "dead-letter")


@dataclass(frozen=True, kw_only=True)
class StreamConfig(Connection):
    """All settings of one stream. Sizes are in rows or records, times in seconds.

    Each field is ``--name`` on the command line and ``FORETABLE_NAME`` in the environment.
    """

    registry: str = setting("root of the registry: a path or URL; must be given", text)
    model: str = setting("name of the model; must be given", text)
    requests: str = setting("topic of the requests; must be given", topic_name)
    predictions: str = setting("topic of the predictions; must be given", topic_name)
    dead_letters: str = setting("topic of what cannot be answered; must be given", topic_name)
    label: str = setting("label to follow", text, default="production")
    group: str = setting("consumer group; foretable-MODEL if not given", text, default="")
    instance: str = setting(
        "this instance's own name, the same after a restart; the host's if not given",
        text,
        default=socket.gethostname(),
    )
    static: bool = setting(
        "true: keep the partitions over a restart; they wait for the session's end when it does not come back",
        boolean,
        default=False,
    )
    delivery: str = setting(
        "exactly-once, by transactions, or at-least-once", one_of(*DELIVERIES), default=EXACTLY_ONCE
    )
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
        program=PROGRAM,
        description="Answer requests of a Kafka topic on another, table first, each exactly once.",
    )
    parser.options.add_argument("model_name", metavar="MODEL", nargs="?", help="the same as --model")
    parser.options.add_argument("--check", action="store_true", help="load everything, reach the brokers, exit")
    given = vars(parser.options.parse_args(argv))
    given["model"] = given["model"] or given["model_name"]
    return parser.read(given, environment), given["check"]


def without_stream(environment: Mapping[str, str], kind: type[Connection]) -> dict[str, str]:
    """Return the environment without what only the stream reads: in its container other programs run beside it."""
    only = {field.name for field in dataclasses.fields(StreamConfig)} - {f.name for f in dataclasses.fields(kind)}
    left_out = {f"{PREFIX}{name.upper()}" for name in only}
    return {name: value for name, value in environment.items() if name not in left_out}
