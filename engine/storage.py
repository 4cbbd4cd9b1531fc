"""One door to stored bytes: fsspec, and what it lacks: create-if-absent that shows all of a file or nothing.

``file://`` (or a plain path) and ``memory://`` so far. A new scheme is one entry in ``_CREATORS``.
"""

from __future__ import annotations

import errno
import io
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import fsspec

from engine.errors import AlreadyExists, BadSettings, NotFound, Unavailable

Write = Callable[[BinaryIO], object]


class Storage:
    """A tree of immutable files under one root. Paths are relative, with ``/``.

    Nothing here overwrites. A name that begins with a dot is somebody's unfinished work and is never listed.
    """

    def __init__(self, url: str) -> None:
        """Open the root, which need not exist yet.

        Raises:
            BadSettings: the scheme is not known.
        """
        scheme, _, rest = url.rpartition("://")
        self._scheme = scheme or "file"
        if self._scheme not in _CREATORS:
            message = f"storage {url!r} must begin with one of {', '.join(f'{s}://' for s in _CREATORS)} or be a path"
            raise BadSettings(message)
        self._root = str(Path(rest).absolute()) if self._scheme == "file" else "/" + rest.strip("/")
        self._fs: Any = fsspec.filesystem(self._scheme)
        self.url = f"{self._scheme}://{self._root}"

    def read(self, path: str) -> bytes:
        """Return a file's bytes; raise ``NotFound``, ``BadSettings`` (denied) or ``Unavailable``."""
        with self._errors(path):
            return bytes(self._fs.cat_file(self._full(path)))

    def size(self, path: str) -> int:
        """Return a file's size in bytes; raises as ``read``."""
        with self._errors(path):
            return int(self._fs.info(self._full(path))["size"])

    def exists(self, path: str) -> bool:
        """Whether there is a file (or, where the storage has them, a directory)."""
        with self._errors(path):
            self._fs.invalidate_cache()
            try:
                self._fs.info(self._full(path))  # not fsspec's exists: that takes every error for a no
            except (FileNotFoundError, NotADirectoryError):
                return False
            return True

    def names(self, path: str = "") -> list[str]:
        """Return the sorted names in a directory (the root by default); none where it does not exist.

        A listing is a lower bound: on some storages a new file shows late.
        """
        with self._errors(path):
            self._fs.invalidate_cache()
            try:
                entries = self._fs.ls(self._full(path) if path else self._root, detail=False)
            except FileNotFoundError:
                return []
        names = (str(entry).rstrip("/").rpartition("/")[2] for entry in entries)
        return sorted(name for name in names if not name.startswith("."))

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """Open a file to read it in order; raises as ``read``."""
        with self._errors(path), self._fs.open(self._full(path), "rb") as file:
            yield file

    def create(self, path: str, data: bytes) -> None:
        """Write a new file; raises as ``create_with``."""
        self.create_with(path, lambda file: file.write(data))

    def create_with(self, path: str, write: Write) -> None:
        """Write a new file through ``write``: readers see all of it, durably, or nothing.

        Raises:
            AlreadyExists: the name is taken; what is there was not touched.
            Unavailable: the disk is full, or the storage is down: nothing is visible.
            BadSettings: denied.
        """
        with self._errors(path):
            try:
                _CREATORS[self._scheme](self._fs, self._full(path), write)
            except FileExistsError as error:
                message = f"{self.url}/{path} exists already"
                raise AlreadyExists(message) from error

    def remove_tree(self, path: str) -> None:
        """Delete a directory and all in it, finished or not; nothing where there is none."""
        with self._errors(path):
            if self._fs.exists(self._full(path)):
                self._fs.rm(self._full(path), recursive=True)

    def _full(self, path: str) -> str:
        parts = path.split("/")
        if any(part in {"", ".", ".."} for part in parts) or "\0" in path:
            message = f"a path in {self.url} must be names joined by single slashes; got {path!r}"
            raise BadSettings(message)
        return f"{self._root}/{path}"

    @contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        where = f"{self.url}/{path}"
        try:
            yield
        # FileExistsError: what fsspec's memory says of reading below a file.
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError) as error:
            message = f"{where} does not exist"
            raise NotFound(message) from error
        except PermissionError as error:
            message = f"{where}: permission denied. Grant it to the user who runs this"
            raise BadSettings(message) from error
        except OSError as error:
            full = error.errno in {errno.ENOSPC, errno.EDQUOT}
            cure = "The disk is full: free some space and run again" if full else "Try again"
            message = f"{where}: {error.strerror or error}. {cure}"
            raise Unavailable(message) from error


def open_storage(url: str) -> Storage:
    """Open a storage root by URL or path."""
    return Storage(url)


def _create_file(_: object, target: str, write: Write) -> None:
    """Write beside the target, make it durable, then link: linking refuses a name that is taken."""
    folder = Path(target).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:  # a file stands where a directory must be: that is not "somebody was first"
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from error
    if Path(target).exists():  # spare the writing; the link below is what decides
        raise FileExistsError(target)
    temporary = folder / f".{Path(target).name}.{secrets.token_hex(8)}"
    try:
        with temporary.open("xb") as file:  # 1. all bytes, durable
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, target)  # 2. visible, or FileExistsError
    finally:
        temporary.unlink(missing_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)  # 3. the name is durable too
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_MEMORY_LOCK = threading.Lock()


def _create_in_memory(fs: Any, target: str, write: Write) -> None:  # fsspec has no types
    buffer = io.BytesIO()
    write(buffer)
    with _MEMORY_LOCK:
        if fs.exists(target):
            raise FileExistsError(target)
        try:
            fs.pipe_file(target, buffer.getvalue())
        except FileExistsError as error:  # of a file where a directory must be
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), target) from error


_CREATORS: dict[str, Callable[[Any, str, Write], None]] = {"file": _create_file, "memory": _create_in_memory}
