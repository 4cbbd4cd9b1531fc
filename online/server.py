"""The server program: settings in, a listening worker out."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from engine.errors import BadSettings
from engine.program import run_configured
from online.bound_socket import bound_socket
from online.config import PROGRAM, ServeConfig, parse_config
from online.supervisor import supervise
from online.token import Tokens


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM; return the exit code."""
    return run_configured(PROGRAM, parse_config, serve, check, argv)


def serve(config: ServeConfig) -> int:
    """Serve until SIGTERM, then drain; return the exit code.

    Raises:
        Unavailable: the port is taken.
        BadSettings: the address cannot be bound, or a file is not what it must be.
    """
    _check_files(config)
    with bound_socket(config.host, config.port) as bound:
        config = replace(config, port=bound.getsockname()[1])
        if config.workers > 1:
            return supervise(config, bound)
        from online.worker import work

        return work(config, bound, announce=partial(print, flush=True))


def check(config: ServeConfig) -> int:
    """Load everything, score one row of each model, and say so; return the exit code."""
    _check_files(config)
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


if __name__ == "__main__":
    raise SystemExit(main())
