"""Where answers are written: standard output, or a file that is whole or absent."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.errors import BadSettings


@contextmanager
def opened_output(path: str | None) -> Iterator[Any]:  # a binary file
    """Give what takes lines; a file is there when the block ends without an error.

    Raises:
        BadSettings: there can be no such file.
    """
    if path is None:
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except BrokenPipeError:  # whoever read the output has gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    target = Path(path)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        file = beside.open("xb")
    except OSError as error:
        message = f"--output must be a file in a directory that can be written; got {path!r}: {error}"
        raise BadSettings(message) from error
    try:
        with file:
            yield file
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
