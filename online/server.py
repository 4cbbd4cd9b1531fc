"""The server program: settings in, a listening worker out."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from engine.errors import BadSettings, ForetableError, Unavailable
from engine.logs import start_logging
from engine.settings import described
from online.config import ServeConfig, parse_config
from online.supervisor import supervise
from online.token import Tokens

_log = logging.getLogger(__name__)
_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM; return the exit code."""
    try:
        config, check = parse_config(sys.argv[1:] if argv is None else argv, os.environ)
        start_logging(config.log_format)
        _log.info("settings: %s", described(config))
        _check_files(config)
        return _check(config) if check else serve(config)
    except ForetableError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:  # while it loads: later a signal drains
        return _INTERRUPTED


def serve(config: ServeConfig) -> int:
    """Serve until SIGTERM, then drain; return the exit code.

    Raises:
        Unavailable: the port is taken.
        BadSettings: the address cannot be bound.
    """
    with _bound(config) as bound:
        config = replace(config, port=bound.getsockname()[1])
        if config.workers > 1:
            return supervise(config, bound)
        from online.worker import work

        return work(config, bound, announce=partial(print, flush=True))


def _check(config: ServeConfig) -> int:
    """Load everything, score one row of each model, and say so."""
    from engine.loading import warm_up
    from online.worker import load_holder

    for (model, label), served in load_holder(config).current.items():
        source = warm_up(served.predictor).text
        print(f"checked {model} release {served.release} (label {label}): a golden row is answered by the {source}")
    return 0


def _check_files(config: ServeConfig) -> None:
    """Refuse at once what would only fail after all models are loaded, or with --check not at all.

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


def _bound(config: ServeConfig) -> socket.socket:
    """Return a socket that has the address and does not listen yet."""
    where = f"{config.host}:{config.port}"
    try:
        family, kind, _, _, address = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except BaseException:
            bound.close()
            raise
        return bound
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
