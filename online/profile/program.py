"""Profile: measure a served model over batch sizes; say what a request costs, what each row adds, and what to optimise.

foretable profile http://127.0.0.1:8000 flights --picture flights.png

The times that a client sees are fitted by: seconds = overhead + rows x compute. Measure a server without other load.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from engine.errors import BadSettings
from engine.program import run, say
from online.profile.connection import Connection
from online.profile.measurement import LEAST_SIZES, measure
from online.profile.picture import check_picture, draw
from online.profile.profile import Profile
from online.profile.profiled_model import ProfiledModel
from online.profile.report import report
from online.profile.request_body import FORMS, BodyMaker

_SIZES = "1,2,5,10,20,50,100,200,500,1000,2000,5000,10000"
_PROGRAM = "foretable profile"


class _Parser(argparse.ArgumentParser):
    """Raises instead of exiting with argparse's own code."""

    def error(self, message: str) -> NoReturn:
        text = f"{message}. See --help"
        raise BadSettings(text)


def parser() -> argparse.ArgumentParser:
    """Return the program's options."""
    options = _Parser(
        prog=_PROGRAM,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    options.add_argument("url", metavar="URL", help="of a running server, e.g. http://127.0.0.1:8000")
    options.add_argument("model", metavar="MODEL", help="the model's name")
    options.add_argument("--label", help="which label's release to ask; default: the server's first label")
    options.add_argument("--token", help="the bearer token, where the server wants one")
    options.add_argument("--form", choices=FORMS, default="json", help="how rows travel; default: json")
    options.add_argument(
        "--batch-sizes", type=_sizes, default=_SIZES, metavar="N,N,…", help=f"rows in a request; default: {_SIZES}"
    )
    options.add_argument("--seconds", type=_seconds, default=10.0, metavar="S", help="how long to measure; default: 10")
    options.add_argument("--picture", type=Path, metavar="FILE", help="draw it into a .png or .svg file")
    options.add_argument("--json", type=Path, metavar="FILE", help="write all figures into a file")
    return options


def profile(arguments: argparse.Namespace) -> Profile:
    """Measure what the arguments name.

    Raises:
        ForetableError: as ``Connection.predict`` and ``measure`` say.
    """
    with Connection(arguments.url, arguments.model, label=arguments.label, token=arguments.token) as connection:
        model = ProfiledModel.of_metadata(connection.metadata())
        maker = BodyMaker(model.space, arguments.form)
        bar = tqdm(
            total=round(arguments.seconds, 1),
            desc="measuring",
            disable=not sys.stderr.isatty(),
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {remaining} left",
        )
        with bar:
            measurement = measure(
                lambda body: connection.predict(body, maker.content_type),
                maker.bodies,
                arguments.batch_sizes,
                seconds=arguments.seconds,
                progress=bar.update,
            )
        return Profile.of(connection.place, arguments.form, model, measurement, shed=connection.shed)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return run(_PROGRAM, lambda: _work(argv), interrupted="interrupted; nothing was written")


def _work(argv: Sequence[str] | None) -> int:
    arguments = parser().parse_args(argv)
    for option, target in (("--picture", arguments.picture), ("--json", arguments.json)):
        _check_target(option, target)
    if arguments.picture:
        check_picture(arguments.picture)
    found = profile(arguments)
    say(report(found, bars=arguments.picture is None))
    if arguments.picture:
        _write("--picture", arguments.picture, draw(found, arguments.picture.suffix))
    if arguments.json:
        _write("--json", arguments.json, json.dumps(found.to_json(), indent=2, allow_nan=False).encode() + b"\n")
    return 0


def _sizes(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    sizes = {int(part) for part in parts if re.fullmatch(r"0*[1-9][0-9]{0,8}", part)}
    if len(sizes) < len(parts) or len(sizes) < LEAST_SIZES:
        message = f"must be {LEAST_SIZES} or more distinct whole numbers joined by commas; got {text[:80]!r}"
        raise argparse.ArgumentTypeError(message)
    return tuple(sorted(sizes))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86_400:
        message = f"must be a number of seconds above 0, a day at most; got {text[:80]!r}"
        raise argparse.ArgumentTypeError(message)
    return seconds


def _check_target(option: str, target: Path | None) -> None:
    """Refuse a file that could not be written, before anything is measured."""
    if target is not None and (target.is_dir() or not os.access(target.parent, os.W_OK)):
        message = f"{option} must be a file in a directory that can be written; got {str(target)!r}"
        raise BadSettings(message)


def _write(option: str, target: Path, content: bytes) -> None:
    """Write a file as a whole or not at all."""
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(target)
    except OSError as error:
        beside.unlink(missing_ok=True)
        message = f"{option} must be a file that can be written; got {str(target)!r}: {error}"
        raise BadSettings(message) from error


if __name__ == "__main__":
    sys.exit(main())
