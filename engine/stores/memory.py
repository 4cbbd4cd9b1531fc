"""``memory://``: files of this process, for tests and trials. A directory is there while a file is below it."""

from __future__ import annotations

import errno
import io
import itertools
import os
import threading
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa

from engine.stores.store import StoredFile, Write, is_hidden


@dataclass(frozen=True)
class _File:
    data: bytes
    number: int


_FILES: dict[str, _File] = {}  # by URL: another door to the same URL sees the same files
_LOCK = threading.RLock()
_NUMBERS = itertools.count(1)


class MemoryStore:
    """Files in a dictionary that all instances share."""

    can_rename_trees = True

    def __init__(self, location: str) -> None:
        self.url = f"memory:///{location.strip('/')}"

    def read(self, path: str) -> bytes:
        """Return all bytes of a file."""
        return self._file(path).data

    def read_range(self, path: str, start: int, size: int) -> bytes:
        """Return the bytes from ``start``, fewer than ``size`` where the file ends before."""
        return self._file(path).data[start : start + size]

    def open(self, path: str) -> BinaryIO:
        """Open a file to read it in order."""
        return io.BytesIO(self._file(path).data)

    def open_input(self, path: str) -> pa.NativeFile:
        """Open a file to read anywhere in it."""
        return pa.BufferReader(self._file(path).data)

    def stat(self, path: str) -> StoredFile:
        """Return a file's length and version."""
        return _stored(path, self._file(path))

    def exists(self, path: str) -> bool:
        """Whether there is a file, or a directory with a file below it."""
        with _LOCK:
            return self._full(path) in _FILES or bool(self._below(path))

    def names(self, path: str) -> list[str]:
        """Return the names in a directory."""
        with _LOCK:
            return list({name.partition("/")[0] for name in self._below(path)})

    def walk(self, path: str, *, hidden: bool) -> list[StoredFile]:
        """Return all files below a directory."""
        with _LOCK:
            if path and self._full(path) in _FILES:
                return [self.stat(path)]
            prefix = f"{path}/" if path else ""
            names = [name for name in self._below(path) if hidden or not is_hidden(name)]
            return [self.stat(prefix + name) for name in names]

    def create(self, path: str, write: Write) -> None:
        """Write into a buffer, then take the name if it is free."""
        buffer = io.BytesIO()
        write(buffer)
        with _LOCK:
            self._claim(path)
            _FILES[self._full(path)] = _File(buffer.getvalue(), next(_NUMBERS))

    def rename_tree(self, source: str, target: str) -> None:
        """Move all files below a directory at once."""
        with _LOCK:
            names = self._below(source)
            if not names:
                self._file(source)  # raises where there is no file either
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), source)
            self._claim(target)
            for name in names:
                _FILES[self._full(f"{target}/{name}")] = _FILES.pop(self._full(f"{source}/{name}"))

    def remove(self, path: str) -> None:
        """Delete a file; nothing where there is none."""
        with _LOCK:
            if self._below(path):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
            _FILES.pop(self._full(path), None)

    def remove_tree(self, path: str) -> None:
        """Delete a directory (or a file) and all in it; nothing where there is none."""
        with _LOCK:
            for name in self._below(path):
                del _FILES[self._full(f"{path}/{name}")]
            _FILES.pop(self._full(path), None)

    def _full(self, path: str) -> str:
        return f"{self.url}/{path}"

    def _below(self, path: str) -> list[str]:
        """Return the paths of all files below a directory, relative to it."""
        prefix = f"{self._full(path)}/" if path else f"{self.url}/"
        return [full.removeprefix(prefix) for full in _FILES if full.startswith(prefix)]

    def _file(self, path: str) -> _File:
        try:
            return _FILES[self._full(path)]
        except KeyError:
            kind = IsADirectoryError if self.exists(path) else FileNotFoundError
            raise kind(errno.ENOENT, os.strerror(errno.ENOENT), path) from None

    def _claim(self, path: str) -> None:
        """Raise unless a new file or directory can have this name; the caller holds the lock."""
        if self.exists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        parents = itertools.accumulate(path.split("/")[:-1], lambda parent, name: f"{parent}/{name}")
        if any(self._full(parent) in _FILES for parent in parents):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)


def _stored(path: str, file: _File) -> StoredFile:
    return StoredFile(path, len(file.data), str(file.number))
