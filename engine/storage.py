"""One door to stored bytes, whatever keeps them: immutable files that show whole or not at all.

A URL's scheme says which store of ``engine/stores/`` answers; a path without a scheme is a directory of this host.
Stores raise ``OSError``; this door checks paths before and says what to do after. Each process opens its own storage:
the clients behind it do not survive a fork.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, TypeVar

import pyarrow as pa

from engine.errors import AlreadyExists, BadSettings, ForetableError, NotFound, Unavailable
from engine.stores.file import FileStore
from engine.stores.hdfs import HdfsStore
from engine.stores.memory import MemoryStore
from engine.stores.s3 import S3Store
from engine.stores.store import Store, StoredFile, Write

__all__ = ["Storage", "StoredFile", "Write", "open_storage", "storage_error"]

R = TypeVar("R")
# By scheme: what opens the rest of the URL. A library that a store needs is loaded when one is opened.
_STORES: dict[str, Callable[[str], Store]] = {
    "file": FileStore,
    "hdfs": HdfsStore,
    "memory": MemoryStore,
    "s3": S3Store,
}


class Storage:
    """A tree of immutable files under one root. Paths are relative, with ``/``.

    Nothing here overwrites. A name that begins with a dot is somebody's unfinished work; it is listed only on demand.

    Every method raises:
        NotFound: there is no such file.
        BadSettings: denied, or the path leaves the root.
        Unavailable: the storage is down, slow or full: try again.

    Attributes:
        url: the root; the same URL opens it again.
        can_rename_trees: whether a finished directory can be shown in one step, by ``rename_tree``.
    """

    def __init__(self, url: str) -> None:
        """Open the root, which need not exist yet.

        Raises:
            BadSettings: the scheme is not known, or what it needs is not installed or not set.
        """
        scheme, separator, location = url.partition("://")
        if not separator:
            scheme, location = "file", url
        if scheme not in _STORES:
            message = f"storage {url!r} must begin with one of {', '.join(f'{s}://' for s in _STORES)} or be a path"
            raise BadSettings(message)
        self._store = _STORES[scheme](location)
        self.url = self._store.url
        self.can_rename_trees = self._store.can_rename_trees

    def read(self, path: str) -> bytes:
        """Return a file's bytes."""
        with self._at(path):
            return self._store.read(path)

    def read_range(self, path: str, start: int, size: int) -> bytes:
        """Return the bytes ``[start, start + size)``, fewer where the file ends before."""
        with self._at(path):
            if start < 0 or size < 0:
                message = f"{self.url}/{path}: a range must not be negative; got start {start}, size {size}"
                raise BadSettings(message)
            return self._store.read_range(path, start, size)

    def stat(self, path: str) -> StoredFile:
        """Return a file's length, and a version that changes when the file is replaced."""
        with self._at(path):
            return self._store.stat(path)

    def size(self, path: str) -> int:
        """Return a file's size in bytes."""
        return self.stat(path).size_bytes

    def exists(self, path: str) -> bool:
        """Whether there is a file (or, where the storage has them, a directory)."""
        with self._at(path):
            return self._store.exists(path)

    def names(self, path: str = "") -> list[str]:
        """Return the sorted names in a directory (the root by default); none where it does not exist.

        A listing is a lower bound: on some storages a new file shows late.
        """
        with self._at(path, or_root=True):
            return sorted(name for name in self._store.names(path) if not name.startswith("."))

    def walk(self, path: str = "", *, hidden: bool = False) -> list[StoredFile]:
        """Return all files below a directory, sorted by path; a file gives itself, what does not exist gives none.

        A file or directory whose name begins with a dot is left out, with all below it, unless ``hidden``. A listing
        is a lower bound, as in ``names``.
        """
        with self._at(path, or_root=True):
            return sorted(self._store.walk(path, hidden=hidden), key=lambda file: file.path)

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """Open a file to read it in order."""
        with self._at(path), self._store.open(path) as file:
            yield file

    def open_input(self, path: str) -> pa.NativeFile:
        """Open a file for a pyarrow reader, which reads anywhere in it; the caller closes it (``with``).

        What fails while it is read is an ``OSError``: only the reader knows where it was.
        """
        with self._at(path):
            return self._store.open_input(path)

    def create(self, path: str, data: bytes) -> None:
        """Write a new file; raises as ``create_with``."""
        self.create_with(path, lambda file: file.write(data))

    def create_with(self, path: str, write: Callable[[BinaryIO], R]) -> R:
        """Write a new file through ``write``, and return what it returns: readers see all of it, durably, or nothing.

        Raises:
            AlreadyExists: the name is taken; what is there was not touched.
            Unavailable: the disk is full, or the storage is down: nothing is visible.
        """
        results: list[R] = []
        with self._at(path):
            self._store.create(path, lambda file: results.append(write(file)))
        return results[-1]

    def rename_tree(self, source: str, target: str) -> None:
        """Show a finished directory under its name: in one step, durably; the target's parents are made.

        Raises:
            AlreadyExists: a file or directory, even an empty one, has that name; of two racers one wins.
            NotFound: there is no directory ``source``.
            BadSettings: the storage cannot rename (``can_rename_trees``).
        """
        with self._at(source), self._at(target):
            if not self.can_rename_trees:
                message = f"{self.url} cannot rename a directory: write the files under their names, a manifest last"
                raise BadSettings(message)
            if f"{target}/".startswith(f"{source}/") and target != source:
                message = f"{self.url}/{target}: a directory must not be renamed into itself; got source {source!r}"
                raise BadSettings(message)
        try:
            with self._at(source):
                self._store.rename_tree(source, target)
        except AlreadyExists as error:
            message = f"{self.url}/{target} exists already"
            raise AlreadyExists(message) from error

    def remove(self, path: str) -> None:
        """Delete a file; nothing where there is none."""
        with self._at(path):
            self._store.remove(path)

    def remove_tree(self, path: str) -> None:
        """Delete a directory and all in it, finished or not; nothing where there is none."""
        with self._at(path):
            self._store.remove_tree(path)

    @contextmanager
    def _at(self, path: str, *, or_root: bool = False) -> Iterator[None]:
        """Check a path, and turn what a store raises into our errors."""
        if not (or_root and path == "") and (any(part in {"", ".", ".."} for part in path.split("/")) or "\0" in path):
            message = f"a path in {self.url} must be names joined by single slashes; got {path!r}"
            raise BadSettings(message)
        where = f"{self.url}/{path}"
        try:
            yield
        except OSError as error:
            raise storage_error(error, where) from error


def storage_error(error: OSError, where: str) -> ForetableError:
    """Return the error that says what to do about one of the system's or a store's; ``where`` begins its message."""
    if isinstance(error, FileExistsError):
        return AlreadyExists(f"{where} exists already")
    if isinstance(error, IsADirectoryError):
        return NotFound(f"{where} must be a file; got a directory")
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return NotFound(f"{where} does not exist")
    if isinstance(error, PermissionError):
        return BadSettings(f"{where}: permission denied. Grant it to the user who runs this")
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    cure = "The disk is full: free some space and run again" if full else "Try again"
    return Unavailable(f"{where}: {error.strerror or error}. {cure}")


def open_storage(url: str) -> Storage:
    """Open a storage root by URL or path."""
    return Storage(url)
