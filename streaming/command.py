"""What the programs around the stream share: how they end, and how they print."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

from engine.errors import ForetableError

BUG, INTERRUPTED = 70, 130


def run(program: str, work: Callable[[], int]) -> int:
    """Do the work; return its exit code, or that of what it raised, and say what that was."""
    try:
        return work()
    except ForetableError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        traceback.print_exc()
        print(f"{program}: unexpected {type(error).__name__}: {error}. Report it", file=sys.stderr)
        return BUG


def say(text: object) -> None:
    """Print a line; where whoever read the output has gone (``| head``), print nothing from now on."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
