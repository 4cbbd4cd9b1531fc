"""Files that digest what goes through them, so that a manifest's SHA-256 costs no second read."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from engine.shard import Readable, Writable
from engine.storage import Storage


class Digest(NamedTuple):
    """What a manifest says of a file.

    Attributes:
        size_bytes: its length.
        sha256: of its bytes, as hex.
    """

    size_bytes: int
    sha256: str


class DigestedReader:
    """Digests what is read, in order."""

    def __init__(self, file: Readable) -> None:
        """Wrap a file that is open to read."""
        self._file, self._sha256, self._size_bytes = file, hashlib.sha256(), 0

    def read(self, size: int, /) -> bytes:
        """Read from the file."""
        data = self._file.read(size)
        self._sha256.update(data)
        self._size_bytes += len(data)
        return data

    @property
    def digest(self) -> Digest:
        """Of all that was read so far."""
        return Digest(self._size_bytes, self._sha256.hexdigest())


class DigestedWriter:
    """Digests what is written, in order. Has what pyarrow asks of a Python file."""

    closed = False

    def __init__(self, file: Writable) -> None:
        """Wrap a file that is open to write."""
        self._file, self._sha256, self._size_bytes = file, hashlib.sha256(), 0

    def write(self, data: bytes | memoryview, /) -> int:
        """Write to the file; return how many bytes."""
        self._file.write(data)
        self._sha256.update(data)
        size = memoryview(data).nbytes
        self._size_bytes += size
        return size

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._size_bytes

    def flush(self) -> None:
        """Leave flushing to whoever opened the file."""

    @property
    def digest(self) -> Digest:
        """Of all that was written so far."""
        return Digest(self._size_bytes, self._sha256.hexdigest())


def digest_rest(file: Readable) -> Digest:
    """Read an open file to its end, and digest that."""
    digested = DigestedReader(file)
    while digested.read(1 << 20):
        pass
    return digested.digest


def digest_file(storage: Storage, path: str) -> Digest:
    """Read a file that is there, and digest it."""
    with storage.open(path) as file:
        return digest_rest(file)
