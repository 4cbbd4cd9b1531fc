"""The file of a dense table's shard: a header, fixed-width values, and a CRC-32C for each block.

====================  ==================================================================================
bytes                 what
====================  ==================================================================================
0-63                  header (``_HEADER``): magic, version, type of the codes, values a row, first ordinal,
                      rows, rows a block, the table's key, and the header's own CRC-32C
64 …                  ``rows * row_bytes`` bytes of codes, little-endian, row after row, no keys
then                  a uint32 CRC-32C for each block of ``rows_per_block`` rows (the last may be shorter)
last 12               CRC-32C of that list, and the end magic
====================  ==================================================================================
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from crc32c import crc32c

from engine.codec import Codes
from engine.errors import BadArtifact, EngineBug

_HEADER = struct.Struct("<8sHBBIQQI16s8xI")
_MAGIC, _END, VERSION = b"FTDENSE\0", b"FTDEND\0\0", 1
_TYPES: dict[int, np.dtype[Any]] = {1: np.dtype("<f4"), 2: np.dtype("u1"), 3: np.dtype("<f2")}
_TAIL_BYTES = 4 + len(_END)
# Large enough that the CRC list is a thousandth of the table, small enough that the first touch of a block costs
# microseconds.
_BLOCK_BYTES = 1 << 16


class Writable(Protocol):
    """What a shard is written to."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Append bytes."""
        ...


class Readable(Protocol):
    """What a shard is read from."""

    def read(self, size: int, /) -> bytes:
        """Return the next ``size`` bytes, or what there is of them."""
        ...


@dataclass(frozen=True, kw_only=True)
class ShardLayout:
    """What a shard's header says.

    Attributes:
        table_key: 32 hex digits: of which table this is a part.
        dtype: of the codes.
        width: codes a row.
        first: the ordinal of the first row.
        rows: rows in this shard.
        rows_per_block: rows under one checksum.
    """

    table_key: str
    dtype: np.dtype[Any]
    width: int
    first: int
    rows: int
    rows_per_block: int

    @property
    def row_bytes(self) -> int:
        """Bytes a row."""
        return self.width * self.dtype.itemsize

    @property
    def blocks(self) -> int:
        """Checksummed blocks in this shard."""
        return -(-self.rows // self.rows_per_block)

    @property
    def values_bytes(self) -> int:
        """Bytes of codes."""
        return self.rows * self.row_bytes

    @property
    def size_bytes(self) -> int:
        """Bytes of the whole file."""
        return _HEADER.size + self.values_bytes + 4 * self.blocks + _TAIL_BYTES


def rows_per_block(row_bytes: int) -> int:
    """Return how many rows of ``row_bytes`` share a checksum."""
    return max(1, _BLOCK_BYTES // row_bytes)


def write_shard(file: Writable, layout: ShardLayout, chunks: Iterable[Codes]) -> None:
    """Write one shard from chunks of codes of shape (n, width), in order, ``layout.rows`` in all.

    Raises:
        EngineBug: the chunks hold another number of rows.
    """
    file.write(_pack_header(layout))
    block_bytes = layout.rows_per_block * layout.row_bytes
    checksums: list[int] = []
    pending = bytearray()
    written = 0
    for codes in chunks:
        pending += codes.astype(layout.dtype, copy=False).tobytes()
        whole = len(pending) - len(pending) % block_bytes
        if whole:
            written += _write_blocks(file, bytes(pending[:whole]), block_bytes, checksums)
            del pending[:whole]
    written += _write_blocks(file, bytes(pending), block_bytes, checksums)
    if written != layout.values_bytes:
        message = f"a shard of {layout.rows} rows must have {layout.values_bytes} bytes of values; got {written}"
        raise EngineBug(message)
    footer = np.array(checksums, "<u4").tobytes()
    file.write(footer + struct.pack("<I", crc32c(footer)) + _END)


def read_layout(file: Readable, size_bytes: int, *, where: str) -> ShardLayout:
    """Read the header at the file's position, and leave it at the first value.

    Raises:
        BadArtifact: it is no shard, of an unknown version, damaged, or the file is cut short.
    """
    data = file.read(_HEADER.size)
    if len(data) < _HEADER.size or not data.startswith(_MAGIC):
        message = (
            f"{where}: must be a dense table's shard; got {data[:8]!r}, {size_bytes} bytes. Copy or build it again"
        )
        raise BadArtifact(message)
    _, version, kind, _, width, first, rows, block_rows, key, checksum = _HEADER.unpack(data)
    if version != VERSION:
        message = f"{where}: must be of shard version {VERSION}; got {version}. Upgrade foretable, or build it again"
        raise BadArtifact(message)
    if crc32c(data[:-4]) != checksum or kind not in _TYPES or not width or not block_rows:
        message = f"{where}: the header is damaged. Copy or build it again"
        raise BadArtifact(message)
    layout = ShardLayout(
        table_key=key.hex(), dtype=_TYPES[kind], width=width, first=first, rows=rows, rows_per_block=block_rows
    )
    if layout.size_bytes != size_bytes:
        message = f"{where}: must be {layout.size_bytes} bytes long; got {size_bytes}. Copy or build it again"
        raise BadArtifact(message)
    return layout


def read_checksums(file: Readable, layout: ShardLayout, *, where: str) -> npt.NDArray[np.uint32]:
    """Read the block checksums at the file's position, just after the values; uint32 of shape (blocks,).

    Raises:
        BadArtifact: they are damaged.
    """
    footer = file.read(4 * layout.blocks)
    tail = file.read(_TAIL_BYTES)
    if tail != struct.pack("<I", crc32c(footer)) + _END:
        message = f"{where}: the list of checksums is damaged. Copy or build it again"
        raise BadArtifact(message)
    return np.frombuffer(footer, "<u4").astype(np.uint32)


def _pack_header(layout: ShardLayout) -> bytes:
    kind = next(number for number, dtype in _TYPES.items() if dtype == layout.dtype)
    key = bytes.fromhex(layout.table_key)
    fields = (_MAGIC, VERSION, kind, 0, layout.width, layout.first, layout.rows, layout.rows_per_block, key)
    data = _HEADER.pack(*fields, 0)[:-4]
    return data + struct.pack("<I", crc32c(data))


def _write_blocks(file: Writable, data: bytes, block_bytes: int, checksums: list[int]) -> int:
    view = memoryview(data)
    checksums += [crc32c(view[start : start + block_bytes]) for start in range(0, len(data), block_bytes)]
    file.write(view)
    return len(data)
