"""What the jobs' programs share: options, usage errors, and how a result is printed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from engine.codec import CODECS
from engine.program import USAGE, say
from engine.program import run as run_program


class Parser(argparse.ArgumentParser):
    """An argument parser that ends with the project's exit code for bad usage, and keeps line breaks in its help."""

    def __init__(self, **settings: Any) -> None:  # argparse's own
        """Take argparse's settings."""
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**settings)

    def error(self, message: str) -> NoReturn:
        """Print the usage line and the message, and exit with 64."""
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


class Result:
    """What a program did: fields for scripts, and a text for people."""

    def __init__(self, text: str, **fields: object) -> None:
        """Keep both forms."""
        self.text, self.fields = text, fields


def add_common(parser: argparse.ArgumentParser, *, registry: bool = True) -> None:
    """Add the options that every program has."""
    if registry:
        parser.add_argument(
            "--registry",
            required=True,
            metavar="URL",
            help="where models live: a directory, file://, hdfs:// or s3:// URL",
        )
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON, and no progress bar")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an unexpected error")


def add_choice_of_answers(options: argparse.ArgumentParser) -> None:
    """Add the options that say whose answers a table or a release holds, and in which form."""
    options.add_argument("--bundle", metavar="ID", help="which bundle (or a beginning of its id); default: the newest")
    options.add_argument("--variant", default="float32", help="which of its LiteRT models; default: float32")
    options.add_argument("--codec", default="float32", choices=CODECS, help="how answers are stored; default: float32")


def positive(text: str) -> int:
    """Read a whole number of 1 or more, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        message = f"must be a whole number of 1 or more; got {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def run(parser: Parser, work: Callable[[argparse.Namespace], Result], argv: Sequence[str] | None = None) -> int:
    """Parse, work, print the result; return the exit code: 0, 130 when interrupted, or the error's own."""
    arguments = parser.parse_args(argv)

    def print_result() -> int:
        result = work(arguments)
        say(json.dumps(result.fields) if arguments.json else result.text)
        return 0

    kept = "interrupted; what was finished is kept"
    return run_program(parser.prog, print_result, debug=bool(arguments.debug), interrupted=kept)
