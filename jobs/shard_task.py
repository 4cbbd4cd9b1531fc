"""The unit of a precompute: one shard of a table, as a pure function of its number."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

import numpy as np
from crc32c import crc32c

from engine.bundle import Bundle
from engine.codec import Codes, codec_from_json
from engine.errors import AlreadyExists, BadArtifact, InvalidInput
from engine.numeric_class import check_worker
from engine.registry import Registry
from engine.runtime import Runtime
from engine.shard import ShardLayout, Writable, read_checksums, read_layout, write_shard
from engine.storage import Storage, open_storage
from engine.table import TableSpec
from jobs.digested import Digest, DigestedReader, DigestedWriter

# Rows decoded, inferred and encoded at once: long enough that Python's share is small, short enough to stay in cache.
_CHUNK_ROWS = 1 << 14


class ShardDone(NamedTuple):
    """A shard that stands in the registry.

    Attributes:
        number: which.
        size_bytes: of its file.
        sha256: of its file.
    """

    number: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class ShardTask:
    """Computes one shard of the table that ``spec`` describes.

    Attributes:
        registry: the registry's URL.
        spec: the table.
    """

    registry: str
    spec: TableSpec

    def __call__(self, number: int, /) -> ShardDone:
        """Compute and write a shard, or find that somebody else has.

        Raises:
            BadSettings: this CPU is of another numeric class than the table's.
            InvalidInput: the model's answer to a row of the space is not finite.
            BadArtifact: the shard that somebody else wrote is damaged, or the variant answers with other bits here.
        """
        storage, bundle, runtime = _loaded(self.registry, self.spec.model, self.spec.bundle, self.spec.variant)
        check_worker(_class_here(bundle, self.spec.variant), self.spec.numeric_class, of="a precompute")
        path = f"{self.spec.model}/tables/{self.spec.key}/{self.spec.shard_name(number)}"

        def write(file: BinaryIO) -> Digest:
            digested = DigestedWriter(file)
            self._write(digested, number, bundle, runtime)
            return digested.digest

        try:
            digest = storage.create_with(path, write)
        except AlreadyExists:  # a speculative twin or an earlier run: the same spec gives the same bytes
            return check_shard(storage, path, number, self.spec.layout(number))
        return ShardDone(number, *digest)

    def _write(self, file: Writable, number: int, bundle: Bundle, runtime: Runtime) -> None:
        layout = self.spec.layout(number)
        codec = codec_from_json(self.spec.codec)

        def chunks() -> Iterator[Codes]:
            for start in range(layout.first, layout.first + layout.rows, _CHUNK_ROWS):
                stop = min(start + _CHUNK_ROWS, layout.first + layout.rows)
                try:
                    yield codec.encode(runtime.infer(bundle.space.inputs_of(start, stop)))
                except InvalidInput as error:
                    message = f"model {self.spec.model}: {error}; among the rows {start} to {stop - 1} of its space"
                    raise InvalidInput(message, cause=error.cause) from error

        write_shard(file, layout, chunks())


def check_shard(storage: Storage, path: str, number: int, wanted: ShardLayout) -> ShardDone:
    """Read a shard that is there, hold it against its own checksums, and say what it is.

    Raises:
        BadArtifact: it is damaged, cut short, or not the shard that it should be.
    """
    cure = "Remove this file and run again"
    try:
        with storage.open(path) as opened:
            file = DigestedReader(opened)
            found = read_layout(file, storage.size(path), where=path)
            if found != wanted:
                message = f"{path}: must be the shard {wanted}; got {found}"
                raise BadArtifact(message)
            block_bytes = found.rows_per_block * found.row_bytes
            sizes = [
                min(block_bytes, found.values_bytes - start) for start in range(0, found.values_bytes, block_bytes)
            ]
            here = np.array([crc32c(file.read(size)) for size in sizes], np.uint32)
            bad = np.flatnonzero(read_checksums(file, found, where=path) != here).tolist()
    except BadArtifact as error:
        message = f"{error}. {cure}"
        raise BadArtifact(message) from error
    if bad:
        message = f"{path}: must have blocks that match their checksums; got {len(bad)} that do not: {bad[:5]}. {cure}"
        raise BadArtifact(message)
    return ShardDone(number, *file.digest)


@functools.lru_cache(maxsize=1)
def _loaded(registry: str, model: str, bundle: str, variant: str) -> tuple[Storage, Bundle, Runtime]:
    """Load once a process: a worker computes many shards of one table."""
    found = Registry(registry).model(model).bundle(bundle)
    return open_storage(registry), found, found.runtime(variant)


@functools.lru_cache(maxsize=1)
def _class_here(bundle: Bundle, variant: str) -> str:
    here = bundle.check_numeric_class(bundle.runtime())  # of the float32 variant: that is what golden rows are of
    if variant != "float32":
        bundle.check_variant(variant, bundle.runtime(variant), here=here)
    return here
