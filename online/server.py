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
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING, Any

from engine.errors import BadSettings, ForetableError, Unavailable
from online.config import ServeConfig, parse_config

if TYPE_CHECKING:
    from online.holder import Holder

_log = logging.getLogger(__name__)
_BUG = 70
# Python threads that answer requests. More than the interpreters, so that lookups pass while the model works; not many
# more, since they share one GIL.
_SPARE_THREADS = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM; return the exit code."""
    try:
        config, check = parse_config(sys.argv[1:] if argv is None else argv, os.environ)
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        _log.info("settings: %s", config.described())
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
    from granian.log import LogLevels

    port = _free_port(config)
    # 70 until a load fails with a code of its own: a worker that dies for any other reason is a bug.
    outcome = multiprocessing.RawValue("i", _BUG)
    server = Granian(
        "online.app",
        address=config.host,
        port=port,
        interface=Interfaces.WSGI,
        blocking_threads=config.threads + _SPARE_THREADS,
        workers_kill_timeout=config.drain_s,
        log_level=LogLevels.warning,
        log_dictconfig=_GRANIAN_LOG,
        websockets=False,
    )
    try:
        server.serve(target_loader=partial(_load, config, port, outcome, os.getpid()), wrap_loader=False)
    except SystemExit:
        # Ctrl-C reaches the worker first: it drained, and ended before this process told it to.
        return 0 if server.interrupt_signal else int(outcome.value)
    return 0


def _load(config: ServeConfig, port: int, outcome: Any, supervisor: int) -> Callable[..., Any]:  # ctypes
    """Load everything in the worker; return the application."""
    for number in (signal.SIGTERM, signal.SIGINT):  # granian handles them once it listens; until then just end
        signal.signal(number, signal.SIG_DFL)
    sys.meta_path.insert(0, _NoPandas())
    try:
        from online.app import create_app
        from online.follower import Follower

        holder = _holder(config)
        app = create_app(holder, config)
        Follower(holder, config).start()
    except ForetableError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        outcome.value = error.exit_code
        raise SystemExit(error.exit_code) from None
    first = config.labels[0]
    releases = ", ".join(
        f"{model} release {served.release}" + (f" at {label}" if label != first else "")
        for (model, label), served in holder.current.items()
    )
    url = f"http://{f'[{config.host}]' if ':' in config.host else config.host}:{port}"
    watch = partial(_watch, config.host, port, f"serving {releases} on {url}", supervisor)
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
    models = config.models or tuple(registry.models())
    if not models:
        message = f"registry {registry.url} must have a model; got none. Train and publish one first"
        raise BadSettings(message)
    return Holder(
        [served for model in models for served in load_labelled(registry.model(model), config)], config.labels
    )


def _check(config: ServeConfig) -> int:
    """Load everything, score one row of each model, and say so."""
    from online.holder import warm_up

    for (model, label), served in _holder(config).current.items():
        source = warm_up(served).text
        print(f"checked {model} release {served.release} (label {label}): a golden row is answered by the {source}")
    return 0


def _watch(host: str, port: int, announcement: str, supervisor: int) -> None:
    """Announce once the server answers; end this worker when its supervisor is gone."""
    pause = threading.Event()
    while not _answers(host, port):
        pause.wait(0.005)
    print(announcement, flush=True)
    while os.getppid() == supervisor:
        pause.wait(1)
    os.kill(os.getpid(), signal.SIGTERM)


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1) as connection:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return connection.recv(12) == b"HTTP/1.1 200"
    except OSError:
        return False


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


_GRANIAN_LOG: dict[str, Any] = {
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain", "stream": "ext://sys.stderr"}},
    "loggers": {"_granian": {"handlers": ["stderr"], "level": "WARNING", "propagate": False}},
}

if __name__ == "__main__":
    raise SystemExit(main())
