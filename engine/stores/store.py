"""What keeps files must do this. ``engine.storage`` checks paths before, and says what to do about errors after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import pyarrow as pa

Write = Callable[[BinaryIO], object]


@dataclass(frozen=True)
class StoredFile:
    """A file as a listing shows it.

    Attributes:
        path: relative to the storage's root.
        size_bytes: its length.
        version: a text that changes when the file is replaced; compare it for equality only.
    """

    path: str
    size_bytes: int
    version: str


class Store(Protocol):
    """Files under one root, by relative paths that are names joined by single slashes; ``""`` is the root.

    Every method raises ``FileNotFoundError``, ``NotADirectoryError`` or ``IsADirectoryError`` (no such file),
    ``FileExistsError`` (taken), ``PermissionError`` (denied) or another ``OSError`` (down, full: try again), within
    bounded time. One instance serves many threads, and only the process that opened it.

    Attributes:
        url: the root, such that the same URL opens it again.
        can_rename_trees: whether ``rename_tree`` is to be had.
    """

    url: str
    can_rename_trees: bool

    def read(self, path: str) -> bytes:
        """Return all bytes of a file."""

    def read_range(self, path: str, start: int, size: int) -> bytes:
        """Return the bytes from ``start``, fewer than ``size`` where the file ends before."""

    def open(self, path: str) -> BinaryIO:
        """Open a file to read it in order; the caller closes it."""

    def open_input(self, path: str) -> pa.NativeFile:
        """Open a file to read anywhere in it; the caller closes it."""

    def stat(self, path: str) -> StoredFile:
        """Return a file's length and version."""

    def exists(self, path: str) -> bool:
        """Whether there is a file, or a directory where the store has them."""

    def names(self, path: str) -> list[str]:
        """Return the names in a directory, in any order; none where it does not exist."""

    def walk(self, path: str, *, hidden: bool) -> list[StoredFile]:
        """Return all files below a directory, in any order; a file gives itself, what is missing nothing.

        ``hidden``: those too that have a name beginning with a dot anywhere below ``path``.
        """

    def create(self, path: str, write: Write) -> None:
        """Write a new file: all of it shows, durably, or nothing. An error of ``write`` is raised as it is."""

    def rename_tree(self, source: str, target: str) -> None:
        """Show a directory under a free name in one step, durably."""

    def remove(self, path: str) -> None:
        """Delete a file; nothing where there is none."""

    def remove_tree(self, path: str) -> None:
        """Delete a directory (or a file) and all in it; nothing where there is none."""


def is_hidden(path: str) -> bool:
    """Whether a name in a relative path begins with a dot: somebody's unfinished work."""
    return any(name.startswith(".") for name in path.split("/"))
