"""A Parquet file that holds the CRC-32C of all its bytes: a byte that changes in it is found, wherever it is.

Parquet's own page checksums say nothing of the footer. The seal is an entry of the footer's metadata, and is computed
with its digits blanked out. Damage is what it finds; it is no signature.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from crc32c import crc32c

from engine.errors import BadArtifact
from engine.shard import Writable
from engine.storage import Storage
from jobs.digested import Digest, DigestedReader

_KEY = "foretable.seal"
# No hexadecimal digits, so no other part of a footer that follows the seal is like it.
_BLANK = b"crc32c:--------"
_READ_BYTES = 1 << 20
# How a Parquet file ends: the length of its footer, and a magic.
_END = struct.Struct("<I4s")


class SealedWriter:
    """Checksums what a Parquet writer writes, and fills the seal in. Has what pyarrow asks of a Python file.

    ``writer.add_key_value_metadata(sealed.begin_footer())`` after the last row, ``sealed.finish()`` after the writer
    is closed.
    """

    closed = False

    def __init__(self, file: Writable) -> None:
        """Wrap a file that is open to write."""
        self._file, self._size_bytes, self._checksum = file, 0, 0
        self._footer: bytearray | None = None

    def write(self, data: bytes | memoryview, /) -> int:
        """Write to the file, or keep what follows ``begin_footer`` until ``finish``; return how many bytes."""
        size_bytes = memoryview(data).nbytes
        self._size_bytes += size_bytes
        if self._footer is not None:
            self._footer += data
        else:
            self._checksum = crc32c(data, self._checksum)
            self._file.write(data)
        return size_bytes

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._size_bytes

    def flush(self) -> None:
        """Leave flushing to whoever opened the file."""

    def begin_footer(self) -> Mapping[str, str]:
        """Return the metadata's entry that becomes the seal."""
        self._footer = bytearray()
        return {_KEY: _BLANK.decode()}

    def finish(self) -> None:
        """Write the rest of the file, with its seal."""
        footer = bytes(self._footer or b"")
        before, _, after = footer.rpartition(_BLANK)
        self._file.write(before + _seal(crc32c(footer, self._checksum)) + after)


def digest_sealed(storage: Storage, path: str, metadata: Mapping[bytes, bytes]) -> Digest:
    """Read a sealed file whole, and digest it.

    Args:
        storage: where it is.
        path: of the file.
        metadata: of its footer.

    Raises:
        BadArtifact: it is not as it was written.
    """
    size_bytes = storage.size(path)
    length, _ = _END.unpack(storage.read_range(path, size_bytes - _END.size, _END.size))
    with storage.open(path) as file:
        reader = DigestedReader(file)
        left, checksum = max(size_bytes - _END.size - length, 0), 0
        while left and (data := reader.read(min(left, _READ_BYTES))):
            checksum = crc32c(data, checksum)
            left -= len(data)
        footer = b""
        while data := reader.read(_READ_BYTES):
            footer += data
    seal = metadata.get(_KEY.encode(), b"")
    before, found, after = footer.rpartition(seal or _BLANK)
    if not (found and seal == _seal(crc32c(before + _BLANK + after, checksum))):
        message = (
            f"{storage.url}/{path}: must be as it was written; its checksum says that it was changed since. "
            "Remove it and run again"
        )
        raise BadArtifact(message)
    return reader.digest


def _seal(checksum: int) -> bytes:
    return b"crc32c:%08x" % checksum
