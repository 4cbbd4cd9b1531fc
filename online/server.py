"""The server program: settings in, granian out.

The supervisor (this process) parses settings and watches one worker; only the worker imports Flask, LiteRT and Arrow,
loads the models, and listens once each of them has answered a row.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import BadSettings, ForetableError, Unavailable
from online.config import ServeConfig, parse_config
from online.logs import granian_logging, start_logging
from online.token import Tokens

if TYPE_CHECKING:
    from online.holder import Holder

_log = logging.getLogger(__name__)
_BUG = 70
# Python threads beyond those that --max-concurrent requests can hold: lookups pass on them, and what is refused, while
# the others wait for models and bodies. More of them only contend for the GIL.
_SPARE_THREADS = 4
# How often the HTTP server looks at its queue: as often as it can, since a scaler reacts to it.
_LOAD_INTERVAL_S = 1
# Request line and headers together; granian refuses what is longer. Its default is 400 KiB a connection, and 16 MiB a
# request by HTTP/2.
_HEADERS_BYTES = 64 << 10


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM; return the exit code."""
    try:
        config, check = parse_config(sys.argv[1:] if argv is None else argv, os.environ)
        start_logging(config.log_format)
        _log.info("settings: %s", config.described())
        _check_files(config)
        return _check(config) if check else serve(config)
    except ForetableError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def serve(config: ServeConfig) -> int:
    """Serve until SIGTERM, then drain; return the exit code.

    Raises:
        Unavailable: the port is taken.
        BadSettings: the address cannot be bound.
    """
    from granian import Granian
    from granian.constants import Interfaces
    from granian.http import HTTP1Settings, HTTP2Settings
    from granian.log import LogLevels

    config = replace(config, port=_free_port(config))
    # 70 until a load fails with a code of its own: a worker that dies for any other reason is a bug.
    outcome = multiprocessing.RawValue("i", _BUG)
    server = Granian(
        "online.app",
        address=config.host,
        port=config.port,
        interface=Interfaces.WSGI,
        blocking_threads=config.max_concurrent + _SPARE_THREADS,
        workers_kill_timeout=config.drain_s,
        log_level=LogLevels.warning,
        log_dictconfig=granian_logging(config.log_format, explained=lambda: outcome.value != _BUG),
        websockets=False,
        metrics_enabled=bool(config.load_port),
        metrics_address=config.host,
        metrics_port=config.load_port,
        metrics_scrape_interval=_LOAD_INTERVAL_S,
        http1_settings=HTTP1Settings(max_buffer_size=_HEADERS_BYTES),
        http2_settings=HTTP2Settings(max_headers_size=_HEADERS_BYTES),
        ssl_cert=Path(config.tls_cert) if config.tls_cert else None,
        ssl_key=Path(config.tls_key) if config.tls_key else None,
    )
    try:
        server.serve(target_loader=partial(_load, config, outcome, os.getpid()), wrap_loader=False)
    except SystemExit:
        # Ctrl-C reaches the worker first: it drained, and ended before this process told it to.
        return 0 if server.interrupt_signal else int(outcome.value)
    return 0


def _load(config: ServeConfig, outcome: Any, supervisor: int) -> Callable[..., Any]:  # ctypes
    """Load everything in the worker; return the application."""
    for number in (signal.SIGTERM, signal.SIGINT):  # granian handles them once it listens; until then just end
        signal.signal(number, signal.SIG_DFL)
    sys.meta_path.insert(0, _NoPandas())
    try:
        from online.app import create_app
        from online.follower import Follower
        from online.scrubber import Scrubber

        tokens = Tokens(config.token_file) if config.token_file else None
        holder = _holder(config)
        app = create_app(holder, config, tokens=tokens)
        Follower(holder, config, beside=[tokens.refresh] if tokens else []).start()
        Scrubber(holder, config.scrub_s).start()
    except ForetableError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        outcome.value = error.exit_code
        raise SystemExit(error.exit_code) from None
    first = config.labels[0]
    releases = ", ".join(
        f"{model} release {served.release}" + (f" at {label}" if label != first else "")
        for (model, label), served in holder.current.items()
    )
    watch = partial(_watch, config, f"serving {releases} on {config.url}", supervisor)
    threading.Thread(target=watch, name="watch", daemon=True).start()
    return app


class _NoPandas(MetaPathFinder):
    """Hides pandas: Arrow imports it at its first array, where it is installed, and nothing here uses it.

    It would cost 0.3 s at the start and 40 MB.
    """

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:  # noqa: ARG002  # the base's signature
        """Say that there is no pandas, and nothing about other modules."""
        if fullname == "pandas":
            message = "pandas is not used by the server"
            raise ModuleNotFoundError(message, name=fullname)


def _holder(config: ServeConfig) -> Holder:
    from engine.registry import Registry
    from online.holder import Holder, load_labelled

    registry = Registry(config.registry)
    models = [registry.existing_model(name) for name in config.models] or list(map(registry.model, registry.models()))
    if not models:
        message = f"registry {registry.url} must have a model; got none. Train and publish one first"
        raise BadSettings(message)
    return Holder([served for model in models for served in load_labelled(model, config)], config.labels)


def _check(config: ServeConfig) -> int:
    """Load everything, score one row of each model, and say so."""
    from online.holder import warm_up

    for (model, label), served in _holder(config).current.items():
        source = warm_up(served).text
        print(f"checked {model} release {served.release} (label {label}): a golden row is answered by the {source}")
    return 0


def _watch(config: ServeConfig, announcement: str, supervisor: int) -> None:
    """Announce once the server answers; end this worker when its supervisor is gone."""
    pause = threading.Event()
    while not _answers(config):
        pause.wait(0.005)
    print(announcement, flush=True)
    while os.getppid() == supervisor:
        pause.wait(1)
    os.kill(os.getpid(), signal.SIGTERM)


def _answers(config: ServeConfig) -> bool:
    request = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    try:
        with (
            socket.create_connection((config.host, config.port), timeout=1) as plain,
            _wrapped(plain, config) as connection,
        ):
            connection.sendall(request)
            return connection.recv(12) == b"HTTP/1.1 200"
    except OSError:
        return False


def _wrapped(plain: socket.socket, config: ServeConfig) -> socket.socket:
    """Speak TLS where the server does; it is this very process, so its name does not matter."""
    if not config.tls_cert:
        return plain
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(plain)


def _check_files(config: ServeConfig) -> None:
    """Refuse what would only fail in the worker, or with --check not at all.

    Raises:
        BadSettings: a file or directory of the settings is not what it must be.
    """
    if config.token_file:
        Tokens(config.token_file)
    if config.scratch and not (Path(config.scratch).is_dir() and os.access(config.scratch, os.W_OK | os.X_OK)):
        message = f"--scratch must be a directory that this user may write to; got {config.scratch!r}. Make it first"
        raise BadSettings(message)
    if config.tls_cert and config.tls_key:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(config.tls_cert, config.tls_key)
        except (OSError, ssl.SSLError) as error:
            message = f"--tls-cert and --tls-key must be PEM files of one key pair, readable: {error}"
            raise BadSettings(message) from error


def _free_port(config: ServeConfig) -> int:
    """Return the port to bind: workers may share ports, so one that somebody else has would go unnoticed."""
    where = f"{config.host}:{config.port}"
    try:
        family, kind, _, _, address = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except socket.gaierror as error:
        message = f"--host must be an address of this machine; got {config.host!r}"
        raise BadSettings(message) from error
    except PermissionError as error:
        message = f"--port must be one that this user may bind; got {config.port}"
        raise BadSettings(message) from error
    except OSError as error:
        message = f"{where} must be free to bind: {error.strerror}. Stop what is there, or choose another --port"
        raise Unavailable(message) from error


if __name__ == "__main__":
    raise SystemExit(main())
