"""Settings of the server: command line over environment over default, read once in ``main``."""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from engine.errors import BadSettings

FORMATS = ("text", "json")
REQUEST_LOGS = ("none", "errors", "all")

PREFIX = "FORETABLE_"
_SERVICE_LINK = re.compile(rf"{PREFIX}(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_[0-9]+_(TCP|UDP)(_\w+)?)")


def _text(text: str) -> str:
    if not text.strip():
        message = "a text that is not empty"
        raise ValueError(message)
    return text


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if not all(names) or len(set(names)) != len(names):
        message = "distinct names joined by commas"
        raise ValueError(message)
    return names


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            message = f"one of {', '.join(choices)}"
            raise ValueError(message)
        return text

    return parse


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,15}", text) or not low <= int(text) <= high:
            message = f"an integer from {low} to {high}"
            raise ValueError(message)
        return int(text)

    return parse


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text) or float(text) <= 0:
        message = "a number of seconds above 0"
        raise ValueError(message)
    return float(text)


def _setting(help_text: str, parse: Callable[[str], object], **options: Any) -> Any:  # as dataclasses.field
    return field(metadata={"help": help_text, "parse": parse}, **options)


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """All settings of one server. Sizes are in bytes, times in seconds.

    Each field is ``--name`` on the command line and ``FORETABLE_NAME`` in the environment.
    """

    registry: str = _setting("root of the registry: a path or URL; must be given", _text)
    models: tuple[str, ...] = _setting(
        "names of the models to serve, joined by commas; all there are if not given", _names, default=()
    )
    labels: tuple[str, ...] = _setting(
        "labels to follow, joined by commas; the first answers requests that name none", _names, default=("production",)
    )
    host: str = _setting("address to bind", _text, default="127.0.0.1")
    port: int = _setting("port to bind; 0 picks a free one", _integer(0, 65535), default=8000)
    workers: int = _setting(
        "processes that serve the port; they share tables, and each has models of its own", _integer(1, 64), default=1
    )
    threads: int = _setting("model interpreters a worker: rows that infer at once", _integer(1, 256), default=2)
    scratch: str | None = _setting(
        "directory for private copies of tables; the system's if not given", _text, default=None
    )
    poll_s: float = _setting("seconds between two looks at the labels", _seconds, default=5.0)
    scrub_s: float = _setting(
        "seconds in which every block of the tables is checked once more", _seconds, default=3600.0
    )
    drain_s: int = _setting("seconds that requests under way have after SIGTERM", _integer(1, 3600), default=30)
    max_body_bytes: int = _setting("largest request body", _integer(1, 1 << 40), default=8 << 20)
    max_rows: int = _setting("most rows in one request", _integer(1, 1 << 30), default=100_000)
    # How long a cache may show the old answer after a release change or a rollback.
    max_age_s: int = _setting("max-age of cached answers", _integer(0, 31_536_000), default=60)
    max_concurrent: int = _setting(
        "requests under way at once that take longer than a lookup; one more is told to come back",
        _integer(1, 1024),
        default=16,
    )
    max_connections: int = _setting(
        "connections at once; past them the one that has been idle for longest is closed",
        _integer(1, 1_000_000),
        default=4096,
    )
    idle_s: float = _setting(
        "seconds after which a connection without a request is closed; more than a load balancer's",
        _seconds,
        default=75.0,
    )
    token_file: str | None = _setting(
        "file of bearer tokens, 16 characters or more, one a line: requests must carry one", _text, default=None
    )
    tls_cert: str | None = _setting("PEM file of the certificate chain; HTTPS with --tls-key", _text, default=None)
    tls_key: str | None = _setting("PEM file of the certificate's key", _text, default=None)
    log_format: str = _setting("how the log is written: text or json", _one_of(*FORMATS), default="text")
    log_requests: str = _setting(
        "which requests are logged: none, errors (400 and up) or all", _one_of(*REQUEST_LOGS), default="none"
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

    def described(self) -> str:
        """Return all settings on one line, without credentials in the registry's URL."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        fields["registry"] = re.sub(r"//[^/@]*@", "//***@", self.registry)
        return " ".join(f"{name}={value!r}" for name, value in fields.items())


class _Parser(argparse.ArgumentParser):
    """Raises instead of exiting with argparse's own code."""

    def error(self, message: str) -> NoReturn:
        text = f"{self.prog}: {message}. See --help"
        raise BadSettings(text)


def parse_config(argv: Sequence[str], environment: Mapping[str, str]) -> tuple[ServeConfig, bool]:
    """Return the settings, and whether ``--check`` was given.

    Raises:
        BadSettings: a setting is missing, unknown or cannot be read.
    """
    parser = _Parser(
        prog="foretable serve",
        description="Serve models over HTTP: the table answers first, the model on a miss.",
        epilog=f"Each setting can be given as {PREFIX}NAME in the environment; the command line wins.",
        allow_abbrev=False,
    )
    fields = dataclasses.fields(ServeConfig)
    for item in fields:
        parser.add_argument(f"--{item.name.replace('_', '-')}", metavar="VALUE", help=_help(item))
    parser.add_argument("model", nargs="*", help="the same as --models, separated by spaces")
    parser.add_argument("--check", action="store_true", help="load everything, score one row, exit")
    options = vars(parser.parse_args(argv))
    if options["model"]:
        options["models"] = ",".join(filter(None, [options["models"], *options["model"]]))
    environment = {name: text for name, text in environment.items() if not _is_service_link(name, text)}
    known = {PREFIX + item.name.upper() for item in fields}
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            message = f"environment variable {name} must be one of {', '.join(sorted(known))}. Unset or correct it"
            raise BadSettings(message)
    settings: dict[str, Any] = {}
    for item in fields:
        variable = PREFIX + item.name.upper()
        option = f"--{item.name.replace('_', '-')}"
        where, text = option, options[item.name]
        if text is None:
            where, text = variable, environment.get(variable)
        if text is not None:
            try:
                settings[item.name] = item.metadata["parse"](text)
            except ValueError as error:
                message = f"{where} must be {error}; got {text[:80]!r}"
                raise BadSettings(message) from None
        elif item.default is dataclasses.MISSING:
            message = f"{option} (or {variable}) must be given"
            raise BadSettings(message)
    return ServeConfig(**settings), options["check"]


def _is_service_link(name: str, text: str) -> bool:
    """Return whether Kubernetes made a variable, as it does in every pod for a Service called ``foretable``."""
    return bool(_SERVICE_LINK.fullmatch(name)) or (name == f"{PREFIX}PORT" and text.startswith(("tcp://", "udp://")))


def _help(item: dataclasses.Field[Any]) -> str:
    """Return what ``--help`` says of a setting, with its default as one would type it."""
    default = item.default
    if default is dataclasses.MISSING or default in (None, ()):
        return str(item.metadata["help"])
    if isinstance(default, tuple):
        default = ",".join(default)
    return f"{item.metadata['help']} (default: {default})"
