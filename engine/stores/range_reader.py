"""A remote file as Python and Arrow read files: a position, and fetches of ranges."""

from __future__ import annotations

import errno
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# One request's bytes: shorter, and the round trips of a read in order dominate; longer, and a request that is cut off
# loses more than a second of work.
BUFFER_SIZE_BYTES = 8 << 20


class RangeStore(ABC):
    """What stores do alike that read a file by ranges."""

    @abstractmethod
    def _reader(self, path: str) -> RangeReader:
        """Open a file at its first byte."""

    def read_range(self, path: str, start: int, size: int) -> bytes:
        """Return the bytes from ``start``, fewer than ``size`` where the file ends before."""
        reader = self._reader(path)
        reader.seek(start)
        return reader.read(size)

    def open(self, path: str) -> BinaryIO:
        """Open a file to read it in order."""
        return io.BufferedReader(self._reader(path), BUFFER_SIZE_BYTES)

    def open_input(self, path: str) -> pa.NativeFile:
        """Open a file to read anywhere in it."""
        return pa.PythonFile(self._reader(path), mode="r")


class RangeReader(io.RawIOBase):
    """Reads exactly what is asked for, by one fetch or more; holds no connection in between."""

    def __init__(self, size_bytes: int, fetch: Callable[[int, int], bytes]) -> None:
        """Begin at the first byte.

        Args:
            size_bytes: of the file.
            fetch: (start, size) -> that many bytes; never called past the end, nor for more than a buffer's size.
        """
        self._size_bytes, self._fetch, self._position = size_bytes, fetch, 0

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def seekable(self) -> bool:
        """Whether it has a position: yes."""
        return True

    def tell(self) -> int:
        """Return the position of the next read."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position; past the end there is nothing to read."""
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size_bytes}[whence]
        if self._position < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """Return ``size`` bytes (all by default), fewer only at the end."""
        left = max(self._size_bytes - self._position, 0)
        parts = []
        wanted = left if size is None or size < 0 else min(size, left)
        while wanted:
            part = self._fetch(self._position, min(wanted, BUFFER_SIZE_BYTES))
            if not part:
                raise OSError(errno.EIO, f"ended at byte {self._position} of {self._size_bytes}")
            parts.append(part)
            self._position += len(part)
            wanted -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def readall(self) -> bytes:
        """Return all bytes from the position on."""
        return self.read()

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer; return how many bytes it got."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)
