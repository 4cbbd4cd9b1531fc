"""``python -m services``: start real services, say how to use them, stop them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from services.errors import BadUsage, ServiceError
from services.standing import SERVICES, StandingServices
from services.state import locked
from services.toolchain import ROOT

_DIRECTORY = "SERVICES_DIR"
_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    try:
        options = _parser().parse_args(argv)
        directory: Path = options.directory.resolve()
        with locked(directory):
            _run(StandingServices(directory), options)
    except ServiceError as error:
        print(f"services: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("services: interrupted; `down` stops what was started", file=sys.stderr)
        return _INTERRUPTED
    return 0


def _run(services: StandingServices, options: argparse.Namespace) -> None:
    if options.command == "up":
        print(services.up(_chosen(options.services)))
    elif options.command == "down":
        services.down(wipe=options.wipe, told=print)
    elif options.command == "status":
        print(services.status())
    else:
        print(services.env())


def _chosen(names: Sequence[str]) -> Sequence[str]:
    for name in names:
        if name not in SERVICES:
            message = f"up: a service must be one of {', '.join(SERVICES)}; got {name!r}"
            raise BadUsage(message)
    return names or SERVICES


class _Parser(argparse.ArgumentParser):
    """Ends with the code of bad usage that all of the project's programs have."""

    def error(self, message: str) -> NoReturn:
        """Leave the ending to ``main``."""
        raise BadUsage(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m services", description="Real HDFS, YARN and Kafka on this machine, until told to go."
    )
    parser.add_argument(
        "--directory",
        type=Path,
        default=Path(os.environ.get(_DIRECTORY) or ROOT / ".services"),
        help=f"for state, configuration, logs and data (default: ${_DIRECTORY}, or .services in the repository)",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start what is not running; print how to use it")
    up.add_argument(
        "services", nargs="*", metavar="SERVICE", help="hdfs, yarn (and hdfs below it), kafka; default: all"
    )
    down = commands.add_parser("down", help="stop all; data stays")
    down.add_argument("--wipe", action="store_true", help="remove the data, too")
    commands.add_parser("status", help="tell what runs")
    commands.add_parser("env", help='print what a client needs: eval "$(python -m services env)"')
    return parser


if __name__ == "__main__":
    sys.exit(main())
