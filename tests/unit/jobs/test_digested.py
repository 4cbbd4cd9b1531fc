from __future__ import annotations

import hashlib
import io

import pytest

from engine.errors import NotFound
from engine.storage import open_storage
from jobs.digested import Digest, DigestedReader, DigestedWriter, digest_file, digest_rest

DATA = bytes(range(256)) * 9_000  # more than is read at once
DIGEST = Digest(len(DATA), hashlib.sha256(DATA).hexdigest())


def test_what_is_read_is_digested_so_far() -> None:
    reader = DigestedReader(io.BytesIO(DATA))
    assert reader.digest == Digest(0, hashlib.sha256().hexdigest())
    assert reader.read(100) == DATA[:100]
    assert reader.digest == Digest(100, hashlib.sha256(DATA[:100]).hexdigest())
    assert reader.read(1 << 30) == DATA[100:]
    assert reader.read(1) == b""
    assert reader.digest == DIGEST


def test_what_is_written_is_digested() -> None:
    file = io.BytesIO()
    writer = DigestedWriter(file)
    assert writer.write(DATA[:100]) == 100
    assert writer.tell() == 100
    numbers = memoryview(DATA[100:]).cast("I")
    assert writer.write(numbers) == len(DATA) - 100  # in bytes, whatever the items
    writer.flush()
    assert file.getvalue() == DATA
    assert writer.digest == DIGEST
    assert not writer.closed


def test_the_rest_of_a_file() -> None:
    assert digest_rest(io.BytesIO(DATA)) == DIGEST
    file = io.BytesIO(b"head" + DATA)
    file.seek(4)
    assert digest_rest(file) == DIGEST


def test_a_stored_file() -> None:
    storage = open_storage("memory://digested")
    storage.create("x", DATA)
    assert digest_file(storage, "x") == DIGEST
    with pytest.raises(NotFound, match="nothing does not exist"):
        digest_file(storage, "nothing")
