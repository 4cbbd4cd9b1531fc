"""How every program begins and ends: its settings in the log; an exit code, and on standard error what went wrong."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from engine.errors import ForetableError
from engine.logs import start_logging
from engine.settings import described

USAGE, BUG, INTERRUPTED = 64, 70, 130
_log = logging.getLogger(__name__)
Config = TypeVar("Config", bound=Any)  # a dataclass of settings, with ``log_format``


def run(program: str, work: Callable[[], int], *, debug: bool | None = None, interrupted: str = "interrupted") -> int:
    """Do the work; return its exit code, or that of what it raised, and say what that was.

    Args:
        program: its name, which messages begin with.
        work: what it does.
        debug: whether errors show their traceback; None where the program has no ``--debug``: unexpected ones do.
        interrupted: what to say where SIGINT ended it.
    """
    try:
        return work()
    except ForetableError as error:
        if debug:
            traceback.print_exc()
        return _told(program, str(error), error.exit_code)
    except KeyboardInterrupt:
        return _told(program, interrupted, INTERRUPTED)
    except Exception as error:
        if debug is not False:
            traceback.print_exc()
        cure = "Report it" if debug is not False else "Run it again with --debug for the traceback, and report it"
        return _told(program, f"unexpected {type(error).__name__}: {error}. {cure}", BUG)


def run_configured(
    program: str,
    parse: Callable[[Sequence[str], Mapping[str, str]], tuple[Config, bool]],
    work: Callable[[Config], int],
    check: Callable[[Config], int],
    argv: Sequence[str] | None,
) -> int:
    """Run a program that takes settings, and logs for as long as it runs; return its exit code.

    Args:
        program: its name.
        parse: returns the settings, of arguments and environment, and whether ``--check`` was given.
        work: what it does.
        check: what it does where it only looks whether it could.
        argv: the arguments; the process's own where None.
    """

    def begin() -> int:
        config, only_check = parse(sys.argv[1:] if argv is None else argv, os.environ)
        start_logging(config.log_format)
        _log.info("settings: %s", described(config))
        return check(config) if only_check else work(config)

    return run(program, begin)


def say(text: object) -> None:
    """Print a line; where whoever read the output has gone (``| head``), print nothing from now on."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _told(program: str, message: str, code: int) -> int:
    print(f"{program}: {message}", file=sys.stderr, flush=True)
    return code
