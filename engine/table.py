"""The dense lookup table: precomputed answers of one (bundle, variant, codec), an array indexed by ordinal."""

from __future__ import annotations

import logging
import mmap
import struct
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from crc32c import crc32c

from engine.codec import Codec, Values, codec_from_json
from engine.errors import BadArtifact, NotFound
from engine.host_copy import host_copy
from engine.manifest import canonical_json, parse_manifest, sha256
from engine.shard import ShardLayout, read_checksums, read_layout, rows_per_block
from engine.storage import Storage

KIND, VERSION = "table", 1
_COPY_BYTES = 1 << 22
_GOOD, _BAD = 1, 2
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """What a table is of. Equal specs have equal keys and equal bytes.

    Attributes:
        model: the model's name.
        bundle: the bundle's id.
        variant: which of the bundle's LiteRT models.
        codec: the codec's JSON form.
        numeric_class: of the CPUs that computed it.
        rows: in all: the space's size.
        width: values a row.
        shard_rows: rows a shard, the last one may have fewer; a multiple of the rows of a block.
    """

    model: str
    bundle: str
    variant: str
    codec: dict[str, Any]
    numeric_class: str
    rows: int
    width: int
    shard_rows: int

    @property
    def key(self) -> str:
        """32 hex digits: the table's id."""
        return sha256(canonical_json({"version": VERSION, **self.__dict__}))[:32]

    @property
    def shards(self) -> int:
        """How many shards."""
        return -(-self.rows // self.shard_rows)

    @property
    def blocks(self) -> int:
        """How many blocks with a checksum of their own, in all shards."""
        return -(-self.rows // self.layout(0).rows_per_block)

    def layout(self, number: int) -> ShardLayout:
        """Return the layout of a shard."""
        dtype = codec_from_json(self.codec).dtype
        first = number * self.shard_rows
        return ShardLayout(
            table_key=self.key,
            dtype=dtype,
            width=self.width,
            first=first,
            rows=min(self.shard_rows, self.rows - first),
            rows_per_block=rows_per_block(self.width * dtype.itemsize),
        )

    def shard_name(self, number: int) -> str:
        """Return the file name of a shard."""
        return f"shard-{number:06d}.dense"


def whole_blocks(rows: int, row_bytes: int) -> int:
    """Return ``rows`` rounded up to whole blocks, so that blocks of all shards line up."""
    block = rows_per_block(row_bytes)
    return -(-rows // block) * block


def read_table_manifest(storage: Storage, path: str) -> dict[str, Any]:
    """Read the manifest of a table's directory.

    Raises:
        BadArtifact: it is damaged or of a version that is not known here.
        NotFound: the table is not finished, or does not exist.
    """
    where = f"{path}/manifest.json"
    return parse_manifest(storage.read(where), kind=KIND, version=VERSION, where=where)


class DenseTable:
    """A private, mapped copy of a table.

    The shards are copied into one file that only this process has (it has no name any more): a registry's file that is
    cut short under a map would kill the process. A block is checked when it is first touched; a bad one is counted,
    logged once, and answered by nobody here: the caller asks the model.

    Thread-safe. The map goes when the last reference to the table does.
    """

    def __init__(self, spec: TableSpec, checksums: npt.NDArray[np.uint32], file: BinaryIO) -> None:
        """Map a file of ``spec.rows`` rows, whose blocks have these checksums. The caller may close it afterwards."""
        self.spec = spec
        self.codec: Codec = codec_from_json(spec.codec)
        layout = spec.layout(0)
        self.size_bytes = spec.rows * layout.row_bytes
        self._row_bytes, self._rows_per_block = layout.row_bytes, layout.rows_per_block
        self._checksums = checksums
        self._map = mmap.mmap(file.fileno(), self.size_bytes, prot=mmap.PROT_READ)
        self._codes = np.frombuffer(self._map, layout.dtype).reshape(spec.rows, spec.width)
        self._unpack = struct.Struct(f"<{spec.width}{layout.dtype.char}").unpack_from
        self._decode_row = self.codec.decode_row
        self._state = bytearray(len(checksums))
        self._states = np.frombuffer(self._state, np.uint8)
        self._not_good = len(checksums)
        self._lock = threading.Lock()
        self.corrupt_blocks = 0

    @classmethod
    def open(cls, storage: Storage, path: str, *, scratch: str | None = None, shared: str | None = None) -> DenseTable:
        """Copy a finished table into a private file and map it.

        Args:
            storage: where the table is.
            path: its directory.
            scratch: where the private file goes, with room for the table; None is the system's temporary directory.
            shared: a directory of this user where all processes of the host that name it have one copy, which is
                checked whole before it is used; None is a copy of this process alone.

        Raises:
            BadArtifact: the manifest or a shard's frame is damaged, cut short or of an unknown version; with
                ``shared``, a block too.
        """
        manifest = read_table_manifest(storage, path)
        try:
            spec = TableSpec(**manifest["spec"])
        except (KeyError, TypeError) as error:
            message = f"{path}/manifest.json: must have the fields of a table: {error}. Copy or build it again"
            raise BadArtifact(message) from error
        if spec.key != manifest.get("key"):
            message = f"{path}/manifest.json: must have the key {spec.key} of its spec; got {manifest.get('key')}"
            raise BadArtifact(message)
        if shared is None:
            with tempfile.TemporaryFile(dir=scratch) as file:
                return cls(spec, _copy(storage, path, spec, file), file)
        size_bytes = spec.rows * spec.layout(0).row_bytes
        checksum_bytes = 4 * spec.blocks

        def write(file: BinaryIO) -> None:
            checksums = _copy(storage, path, spec, file)
            bad = cls(spec, checksums, file).check_all()
            if bad:
                message = f"{path}: must have blocks that match their checksums; {bad} do not. Precompute it again"
                raise BadArtifact(message)
            file.write(checksums.astype("<u4").tobytes())

        with host_copy(Path(shared), f"{spec.key}.table", size_bytes + checksum_bytes, write) as copy:
            copy.seek(size_bytes)
            return cls(spec, np.frombuffer(copy.read(checksum_bytes), "<u4"), copy)

    def row(self, ordinal: int) -> tuple[float, ...] | None:
        """Return the ``width`` values at an ordinal of the space, or None where its block is corrupt."""
        block = ordinal // self._rows_per_block
        if self._state[block] != _GOOD and not self.check_block(block):
            return None
        return self._decode_row(self._unpack(self._map, ordinal * self._row_bytes))

    def lookup(self, ordinals: npt.NDArray[np.int64]) -> tuple[Values, npt.NDArray[np.bool_]]:
        """Return values, float32 of shape (n, width), and which of them are answers, bool of shape (n,).

        An ordinal of -1, or one in a corrupt block, is no answer; its values mean nothing.
        """
        hit = ordinals >= 0
        if not hit.all():
            ordinals = np.where(hit, ordinals, 0)
        if self._not_good:
            blocks = ordinals // self._rows_per_block
            for block in np.unique(blocks[hit]).tolist():
                if self._state[block] != _GOOD:
                    self.check_block(block)
            hit &= self._states[blocks] == _GOOD
        return self.codec.decode(np.take(self._codes, ordinals, axis=0)), hit

    @property
    def blocks(self) -> int:
        """How many checksummed blocks the table has."""
        return len(self._checksums)

    def check_all(self, progress: Callable[[int], object] = lambda _: None) -> int:
        """Check every block again, also those found good before; return how many are corrupt."""
        for block in range(len(self._checksums)):
            self.check_block(block)
            progress(1)
        return self.corrupt_blocks

    def check_block(self, block: int) -> bool:
        """Hold a block against its checksum, also one found good before; remember and return whether it is good."""
        start = block * self._rows_per_block * self._row_bytes
        stop = min(start + self._rows_per_block * self._row_bytes, self.size_bytes)
        good = crc32c(memoryview(self._map)[start:stop]) == int(self._checksums[block])
        with self._lock:
            before = self._state[block]
            self._state[block] = _GOOD if good else _BAD
            self._not_good += (not good) - (before != _GOOD)
            if not good and before != _BAD:
                self.corrupt_blocks += 1
                _log.error(
                    "table %s of %s: block %d is corrupt; its %d rows are not answered from it. Copy the table again",
                    self.spec.key,
                    self.spec.model,
                    block,
                    self._rows_per_block,
                )
        return good


def _copy(storage: Storage, path: str, spec: TableSpec, file: BinaryIO) -> npt.NDArray[np.uint32]:
    """Copy the values of all shards into a file, and return the checksums of their blocks."""
    checksums = [
        _copy_shard(storage, f"{path}/{spec.shard_name(number)}", spec.layout(number), file)
        for number in range(spec.shards)
    ]
    file.flush()
    return np.concatenate(checksums)


def _copy_shard(storage: Storage, path: str, wanted: ShardLayout, target: BinaryIO) -> npt.NDArray[np.uint32]:
    try:
        size_bytes = storage.size(path)
    except NotFound as error:
        message = f"{path}: must be there, since its table has a manifest; got no such file. Restore it"
        raise BadArtifact(message) from error
    with storage.open(path) as source:
        found = read_layout(source, size_bytes, where=path)
        if found != wanted:
            message = f"{path}: must be the shard {wanted}; got {found}. The table mixes builds: precompute it again"
            raise BadArtifact(message)
        left = found.values_bytes
        while left:
            chunk = source.read(min(left, _COPY_BYTES))
            if not chunk:
                message = f"{path}: ended {left} bytes early. Copy or build it again"
                raise BadArtifact(message)
            target.write(chunk)
            left -= len(chunk)
        return read_checksums(source, found, where=path)
