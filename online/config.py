"""Settings of the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.errors import BadSettings
from engine.settings import SettingsParser, integer, names, one_of, seconds, setting, text

PROGRAM = "foretable serve"
FORMATS = ("text", "json")
PRIORITIES = ("idle", "normal")
REQUEST_LOGS = ("none", "errors", "all")


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """All settings of one server. Sizes are in bytes, times in seconds.

    Each field is ``--name`` on the command line and ``FORETABLE_NAME`` in the environment.
    """

    registry: str = setting("root of the registry: a path or URL; must be given", text)
    models: tuple[str, ...] = setting(
        "names of the models to serve, joined by commas; all there are if not given", names, default=()
    )
    labels: tuple[str, ...] = setting(
        "labels to follow, joined by commas; the first answers requests that name none", names, default=("production",)
    )
    host: str = setting("address to bind", text, default="127.0.0.1")
    port: int = setting("port to bind; 0 picks a free one", integer(0, 65535), default=8000)
    workers: int = setting(
        "processes that serve the port; they share tables, and each has models of its own", integer(1, 64), default=1
    )
    threads: int = setting("model interpreters a worker: rows that infer at once", integer(1, 256), default=2)
    model_priority: str = setting(
        "idle: threads that infer give way to lookups at once; normal: where other programs share the container",
        one_of(*PRIORITIES),
        default="idle",
    )
    scratch: str | None = setting(
        "directory for private copies of tables; the system's if not given", text, default=None
    )
    poll_s: float = setting("seconds between two looks at the labels", seconds, default=5.0)
    scrub_s: float = setting("seconds in which every block of the tables is checked once more", seconds, default=3600.0)
    drain_s: int = setting("seconds that requests under way have after SIGTERM", integer(1, 3600), default=30)
    max_body_bytes: int = setting("largest request body", integer(1, 1 << 40), default=8 << 20)
    max_rows: int = setting("most rows in one request", integer(1, 1 << 30), default=100_000)
    # How long a cache may show the old answer after a release change or a rollback.
    max_age_s: int = setting("max-age of cached answers", integer(0, 31_536_000), default=60)
    max_concurrent: int = setting(
        "requests under way at once that take longer than a lookup; one more is told to come back",
        integer(1, 1024),
        default=16,
    )
    max_connections: int = setting(
        "connections at once; past them the one that has been idle for longest is closed",
        integer(1, 1_000_000),
        default=4096,
    )
    idle_s: float = setting(
        "seconds after which a connection without a request is closed; more than a load balancer's",
        seconds,
        default=75.0,
    )
    token_file: str | None = setting(
        "file of bearer tokens, 16 characters or more, one a line: requests must carry one", text, default=None
    )
    tls_cert: str | None = setting("PEM file of the certificate chain; HTTPS with --tls-key", text, default=None)
    tls_key: str | None = setting("PEM file of the certificate's key", text, default=None)
    log_format: str = setting("how the log is written: text or json", one_of(*FORMATS), default="text")
    log_requests: str = setting(
        "which requests are logged: none, errors (400 and up) or all", one_of(*REQUEST_LOGS), default="none"
    )

    def __post_init__(self) -> None:
        """Check what no field can know alone."""
        if (self.tls_cert is None) != (self.tls_key is None):
            message = "--tls-cert and --tls-key must be given together; got one of them"
            raise BadSettings(message)

    @property
    def url(self) -> str:
        """Where clients find the server."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.tls_cert else ''}://{host}:{self.port}"


def parse_config(argv: Sequence[str], environment: Mapping[str, str]) -> tuple[ServeConfig, bool]:
    """Return the settings, and whether ``--check`` was given.

    Raises:
        BadSettings: a setting is missing, unknown or cannot be read.
    """
    parser = SettingsParser(
        ServeConfig,
        program=PROGRAM,
        description="Serve models over HTTP: the table answers first, the model on a miss.",
    )
    parser.options.add_argument("model", nargs="*", help="the same as --models, separated by spaces")
    parser.options.add_argument("--check", action="store_true", help="load everything, score one row, exit")
    given = vars(parser.options.parse_args(argv))
    if given["model"]:
        given["models"] = ",".join(filter(None, [given["models"], *given["model"]]))
    return parser.read(given, environment), given["check"]
