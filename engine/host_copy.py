"""One copy a host: a file that the first process makes and every other one opens."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from engine.errors import BadSettings
from engine.storage import storage_error


@contextmanager
def host_copy(folder: Path, name: str, size_bytes: int, write: Callable[[BinaryIO], object]) -> Iterator[BinaryIO]:
    """Open a file of a folder that only this user may write to; make it first where it is missing or cut short.

    Of processes that come at once, one writes and the others wait. What they open never changes: a new copy is another
    file under the same name.

    Args:
        folder: made where it is missing. Whoever names it removes it.
        name: of the file: equal names have equal contents.
        size_bytes: of the finished file.
        write: writes and checks it, given a file open to write and read; what it raises leaves nothing behind.

    Raises:
        BadSettings: this user may not write to the folder, or others may: a file that is cut short under a map kills
            the process.
        Unavailable: the disk is full or fails.
    """
    try:
        opened = _open_or_make(folder, name, size_bytes, write)
    except OSError as error:  # of this host's disk: whatever the caller reads or writes meanwhile is not at fault
        raise storage_error(error, f"{folder}/{name}") from error
    with opened:
        yield opened


def _open_or_make(folder: Path, name: str, size_bytes: int, write: Callable[[BinaryIO], object]) -> BinaryIO:
    with suppress(FileExistsError):  # a file of that name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        message = f"{folder} must be a directory that only its user may write to. Give another, or chmod 700 it"
        raise BadSettings(message)
    target = folder / name
    with (folder / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists() or target.stat().st_size != size_bytes:
            temporary = folder / f".{name}.{secrets.token_hex(8)}"
            try:
                with temporary.open("x+b") as file:
                    write(file)
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
        return target.open("rb")
