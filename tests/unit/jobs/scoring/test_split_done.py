from __future__ import annotations

import hashlib
import io
import itertools
import json
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import BadArtifact
from engine.storage import open_storage
from jobs.digested import digest_file
from jobs.scoring.sealed_file import SealedWriter
from jobs.scoring.split_done import Counts, FileDone, read_done

_numbers = itertools.count()
STORAGE = open_storage("memory://split-done")
BAD_ROWS = b"bad rows"
QUARANTINE = FileDone(
    path="_quarantine/part-a.parquet", size_bytes=8, sha256=hashlib.sha256(BAD_ROWS).hexdigest(), rows=2
)
COUNTS = Counts(
    rows=3,
    quarantine=QUARANTINE,
    sources={"table": 1, "model": 2},
    causes={"null": 2},
    examples={"null": "a row 1: null"},
)


def stored(metadata: dict[str, str] | None) -> tuple[str, bytes]:
    file = io.BytesIO()
    sealed = SealedWriter(file)
    schema = pa.schema([("x", pa.int64())])
    with pq.ParquetWriter(sealed, schema) as writer:
        writer.write_table(pa.table({"x": [1, 2, 3]}, schema))
        writer.add_key_value_metadata({**(metadata or {}), **sealed.begin_footer()})
    sealed.finish()
    name = f"{next(_numbers)}.parquet"
    STORAGE.create(name, file.getvalue())
    return name, file.getvalue()


@pytest.fixture(autouse=True)
def _quarantine() -> Iterator[None]:
    STORAGE.create(QUARANTINE.path, BAD_ROWS)
    yield
    STORAGE.remove(QUARANTINE.path)


@pytest.mark.parametrize("counts", [COUNTS, Counts(rows=3, quarantine=None, sources={}, causes={}, examples={})])
def test_a_finished_split_says_what_came_of_it(counts: Counts) -> None:
    name, data = stored(counts.to_metadata())
    found = read_done(STORAGE, name)
    assert found == counts.done(name, digest_file(STORAGE, name), computed=False)
    assert found.file == FileDone(path=name, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest(), rows=3)
    assert (found.counts, found.computed) == (counts, False)


def test_equal_counts_have_equal_bytes() -> None:
    other = Counts(
        rows=3,
        quarantine=QUARANTINE,
        sources={"model": 2, "table": 1},
        causes={"null": 2},
        examples={"null": "a row 1: null"},
    )
    assert other.to_metadata() == COUNTS.to_metadata()


@pytest.mark.parametrize(
    "metadata",
    [None, {"foretable": "[]"}, {"foretable": "x"}, {"foretable": "1"}, {"foretable": json.dumps({"rows": 1})}],
)
def test_another_file_is_refused(metadata: dict[str, str] | None) -> None:
    name, _ = stored(metadata)
    with pytest.raises(BadArtifact, match=rf"{name}: must be a split of a scoring job; got another file\. Remove it"):
        read_done(STORAGE, name)


def test_a_damaged_file_is_refused() -> None:
    STORAGE.create("damaged.parquet", b"PAR1 and so on")
    with pytest.raises(BadArtifact, match=r"damaged\.parquet: must be an undamaged file"):
        read_done(STORAGE, "damaged.parquet")


def test_a_flipped_bit_is_found_wherever_it_is() -> None:
    _, data = stored(COUNTS.to_metadata())
    unnoticed = []
    for place in range(len(data)):
        name = f"{next(_numbers)}.parquet"
        STORAGE.create(name, data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        try:
            read_done(STORAGE, name)
            unnoticed.append(place)
        except BadArtifact:
            pass
    assert unnoticed == []


def test_a_damaged_quarantine_is_refused() -> None:
    name, _ = stored(COUNTS.to_metadata())
    STORAGE.remove(QUARANTINE.path)
    STORAGE.create(QUARANTINE.path, b"bad rowz")
    with pytest.raises(BadArtifact, match=rf"part-a\.parquet: must be as it was written; .*Remove it and {name}"):
        read_done(STORAGE, name)
    STORAGE.remove(QUARANTINE.path)
    with pytest.raises(
        BadArtifact, match=rf"part-a\.parquet: must be as it was written; it is gone\. Remove it and {name}"
    ):
        read_done(STORAGE, name)
