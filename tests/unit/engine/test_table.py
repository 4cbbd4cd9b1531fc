"""The dense table: every damage, blocks that rot, and lookups against the values that were written."""

from __future__ import annotations

import io
import json
import logging
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from crc32c import crc32c

from engine.codec import codec_from_json, codec_named
from engine.errors import BadArtifact, BadSettings, NotFound
from engine.manifest import new_manifest, seal
from engine.output import Output, OutputSchema
from engine.shard import write_shard
from engine.storage import Storage, open_storage
from engine.table import KIND, VERSION, DenseTable, TableSpec, read_table_manifest, whole_blocks

SCHEMA = OutputSchema([Output("click"), Output("share", width=2, range=(-1.0, 1.0))])
ROWS, SHARD_BLOCKS = 50_000, 3


def spec_of(codec: str, rows: int = ROWS, shard_blocks: int = SHARD_BLOCKS) -> TableSpec:
    """A table of ``SCHEMA``: 12 bytes a row in float32 (5,461 rows a block), 6 in float16 (10,922), 3 in uint8."""
    made = codec_named(codec, SCHEMA)
    row_bytes = SCHEMA.width * made.dtype.itemsize
    return TableSpec(
        model="m",
        bundle="0123456789abcdef",
        variant="float32",
        codec=made.to_json(),
        numeric_class="litert-test",
        rows=rows,
        width=SCHEMA.width,
        shard_rows=shard_blocks * (65536 // row_bytes),
    )


def answers(rows: int) -> npt.NDArray[np.float32]:
    """Answers of which every row is another."""
    click = np.linspace(0, 1, rows, dtype=np.float32)
    return np.stack([click, click * 2 - 1, 1 - click * 2], axis=1).astype(np.float32)


def write_table(storage: Storage, spec: TableSpec) -> None:
    """Write the table under ``t``, its manifest last."""
    codes = codec_from_json(spec.codec).encode(answers(spec.rows))
    for number in range(spec.shards):
        layout = spec.layout(number)
        part = codes[layout.first : layout.first + layout.rows]
        shard = io.BytesIO()
        write_shard(shard, layout, [part])
        storage.create(f"t/{spec.shard_name(number)}", shard.getvalue())
    storage.create("t/manifest.json", seal(new_manifest(KIND, VERSION, spec=spec.__dict__, key=spec.key)))


def rewrite(storage: Storage, path: str, data: bytes) -> None:
    """Damage a file, as a bad disk or a bad copy would."""
    storage.remove_tree(path)
    storage.create(path, data)


def flip(storage: Storage, path: str, place: int) -> None:
    data = bytearray(storage.read(path))
    data[place] ^= 0x10
    rewrite(storage, path, bytes(data))


@pytest.fixture
def storage() -> Iterator[Storage]:
    storage = open_storage(f"memory://test-{secrets.token_hex(8)}")
    yield storage
    storage.remove_tree("t")


@pytest.fixture(params=["float32", "float16", "uint8"])
def spec(request: pytest.FixtureRequest, storage: Storage) -> TableSpec:
    spec = spec_of(request.param)
    write_table(storage, spec)
    return spec


def expected(spec: TableSpec) -> npt.NDArray[np.float32]:
    """The values the table must answer: of uint8 the nearest of 256, computed here in float64; else numpy's."""
    values = answers(spec.rows).astype(np.float64)
    if spec.codec["name"] == "float16":
        return values.astype(np.float16).astype(np.float32)
    if spec.codec["name"] == "float32":
        return values.astype(np.float32)
    low, high = np.array([0.0, -1.0, -1.0]), np.array([1.0, 1.0, 1.0])
    steps = np.round((values - low) / (high - low) * 255)
    nearest: npt.NDArray[np.float32] = (low + (high - low) * steps / 255).astype(np.float32)
    return nearest


def test_every_row_is_what_was_written(storage: Storage, spec: TableSpec) -> None:
    table = DenseTable.open(storage, "t")
    wanted = expected(spec)
    ties = 1 / 255 + 1e-6 if spec.codec["name"] == "uint8" else 1e-6  # a tie may go either way here
    values, hit = table.lookup(np.arange(spec.rows))
    assert hit.all()
    assert values.dtype == np.float32
    assert np.abs(values - wanted).max() <= ties
    assert (values == wanted).mean() > 0.999
    assert table.corrupt_blocks == 0


def test_row_and_lookup_agree_at_the_borders_of_blocks_and_shards(storage: Storage, spec: TableSpec) -> None:
    block = spec.layout(0).rows_per_block
    edges = [0, 1, block - 1, block, spec.shard_rows - 1, spec.shard_rows, spec.shard_rows + 1, spec.rows - 1]
    edges = [edge for edge in edges if edge < spec.rows]
    for order in (edges, edges[::-1]):
        table = DenseTable.open(storage, "t")
        values, hit = table.lookup(np.array(order))
        assert hit.all()
        fresh = DenseTable.open(storage, "t")
        assert [fresh.row(ordinal) for ordinal in order] == [tuple(row) for row in values.tolist()]
    assert fresh.row(spec.rows - 1) == (1.0, 1.0, -1.0)
    assert fresh.row(0) == (0.0, -1.0, 1.0)


def test_a_miss_is_no_hit(storage: Storage, spec: TableSpec) -> None:
    table = DenseTable.open(storage, "t")
    values, hit = table.lookup(np.array([-1, 5, -1, spec.rows - 1]))
    assert hit.tolist() == [False, True, False, True]
    assert values.shape == (4, 3)
    assert table.lookup(np.array([-1, -1]))[1].tolist() == [False, False]
    empty, none = table.lookup(np.empty(0, np.int64))
    assert (empty.shape, none.shape) == ((0, 3), (0,))


def test_ordinals_of_the_caller_are_left_alone(storage: Storage, spec: TableSpec) -> None:
    ordinals = np.array([-1, 5])
    DenseTable.open(storage, "t").lookup(ordinals)
    assert ordinals.tolist() == [-1, 5]


def test_the_registry_s_files_may_go_once_it_is_open(storage: Storage, spec: TableSpec) -> None:
    table = DenseTable.open(storage, "t")
    storage.remove_tree("t")
    assert table.row(0) == (0.0, -1.0, 1.0)


def test_no_copy_is_left_in_the_scratch_directory(storage: Storage, spec: TableSpec, tmp_path: Path) -> None:
    table = DenseTable.open(storage, "t", scratch=str(tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert table.row(0) == (0.0, -1.0, 1.0)


def test_processes_of_a_host_share_one_copy(storage: Storage, spec: TableSpec, tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    with ThreadPoolExecutor(8) as pool:
        tables = list(pool.map(lambda _: DenseTable.open(storage, "t", shared=str(folder)), range(8)))
    (copy,) = folder.glob("*.table")
    stamp = copy.stat().st_ino
    storage.remove_tree(f"t/{spec.shard_name(0)}")  # a later process takes the copy, and not the shards
    again = DenseTable.open(storage, "t", shared=str(folder))
    assert copy.stat().st_ino == stamp
    for table in (*tables, again):
        assert table.row(0) == (0.0, -1.0, 1.0)
        assert table.check_all() == 0


def test_a_shared_copy_that_was_cut_short_is_made_anew(storage: Storage, spec: TableSpec, tmp_path: Path) -> None:
    DenseTable.open(storage, "t", shared=str(tmp_path))
    (copy,) = tmp_path.glob("*.table")
    copy.write_bytes(copy.read_bytes()[:100])
    assert DenseTable.open(storage, "t", shared=str(tmp_path)).check_all() == 0


def test_a_shared_copy_of_a_corrupt_table_is_refused_and_leaves_nothing(
    storage: Storage, spec: TableSpec, tmp_path: Path
) -> None:
    flip(storage, f"t/{spec.shard_name(0)}", 64 + 7)
    with pytest.raises(BadArtifact, match="t: must have blocks that match their checksums; 1 do not"):
        DenseTable.open(storage, "t", shared=str(tmp_path))
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == []


def test_a_shared_folder_that_others_may_write_to_is_refused(storage: Storage, spec: TableSpec, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(BadSettings, match="only its user may write to"):
        DenseTable.open(storage, "t", shared=str(tmp_path))


@pytest.mark.parametrize("codec, blocks", [("float32", 10), ("float16", 5), ("uint8", 3)])
def test_a_flipped_value_makes_its_block_a_miss(
    storage: Storage, codec: str, blocks: int, caplog: pytest.LogCaptureFixture
) -> None:
    spec = spec_of(codec, shard_blocks=1)
    write_table(storage, spec)
    layout = spec.layout(1)
    flip(storage, f"t/{spec.shard_name(1)}", 64 + 7)
    table = DenseTable.open(storage, "t")
    first, after = layout.first, layout.first + layout.rows
    assert table.corrupt_blocks == 0  # found when it is touched, not before
    with caplog.at_level(logging.ERROR):
        assert table.row(first - 1) is not None
        assert table.corrupt_blocks == 0
        assert table.row(first) is None
        assert table.row(after - 1) is None
        assert table.row(after) is not None
        ordinals = np.array([first - 1, first, -1, after - 1, after])
        for _ in range(2):
            assert table.lookup(ordinals)[1].tolist() == [True, False, False, False, True]
        assert table.check_all() == 1
    assert table.corrupt_blocks == 1
    assert len(caplog.records) == 1
    assert "block 1 is corrupt; its " in caplog.text
    assert table.lookup(np.arange(spec.rows))[1].sum() == spec.rows - layout.rows
    progress: list[int] = []
    table.check_all(progress.append)
    assert sum(progress) == blocks


def test_a_corrupt_block_is_found_by_a_lookup_first(storage: Storage, spec: TableSpec) -> None:
    last = spec.layout(spec.shards - 1)
    flip(storage, f"t/{spec.shard_name(spec.shards - 1)}", 64 + last.values_bytes - 1)  # in the last, partial block
    table = DenseTable.open(storage, "t")
    hit = table.lookup(np.arange(spec.rows))[1]
    partial = spec.rows % last.rows_per_block
    assert hit.sum() == spec.rows - partial
    assert not hit[-partial:].any()
    assert table.row(spec.rows - 1) is None
    assert table.corrupt_blocks == 1


def test_a_block_that_rots_after_it_was_found_good_is_served_no_more(
    storage: Storage, spec: TableSpec, tmp_path: Path
) -> None:
    table = DenseTable.open(storage, "t", shared=str(tmp_path))  # a copy that has a name, to write to
    assert table.lookup(np.arange(spec.rows))[1].all()
    (copy,) = (path for path in tmp_path.rglob("*.table"))
    block = spec.layout(0).rows_per_block
    row_bytes = spec.layout(0).row_bytes
    copy.chmod(0o600)
    with copy.open("r+b") as file:
        file.seek(block * row_bytes)
        value = file.read(1)
        file.seek(block * row_bytes)
        file.write(bytes([value[0] ^ 1]))
    assert [table.check_block(number) for number in range(table.blocks)].count(False) == 1
    assert table.row(block) is None
    hit = table.lookup(np.arange(spec.rows))[1]
    assert np.flatnonzero(~hit).tolist() == list(range(block, 2 * block))
    assert table.corrupt_blocks == 1


def test_8_threads_count_a_corrupt_block_once(storage: Storage, spec: TableSpec) -> None:
    flip(storage, f"t/{spec.shard_name(0)}", 64)
    table = DenseTable.open(storage, "t")
    wanted = DenseTable.open(storage, "t").lookup(np.arange(spec.rows))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: table.lookup(np.arange(spec.rows)), range(16)))
    for values, hit in found:
        assert hit.tolist() == wanted[1].tolist()
        assert values[hit].tobytes() == wanted[0][wanted[1]].tobytes()
    assert table.corrupt_blocks == 1


def test_a_wrong_checksum_is_a_corrupt_block(storage: Storage) -> None:
    spec = spec_of("float32")
    write_table(storage, spec)
    path = f"t/{spec.shard_name(0)}"
    data = bytearray(storage.read(path))
    data[-12 - 4 * SHARD_BLOCKS] ^= 1
    data[-12:-8] = crc32c(bytes(data[-12 - 4 * SHARD_BLOCKS : -12])).to_bytes(4, "little")
    rewrite(storage, path, bytes(data))
    table = DenseTable.open(storage, "t")
    assert table.row(0) is None
    assert table.row(spec.layout(0).rows_per_block) is not None


@pytest.mark.parametrize("shard", [0, -1])
@pytest.mark.parametrize("keep", [0, 8, 63, 64, 1000, -21, -13, -12, -8, -1])
def test_a_shard_cut_short_in_any_region_is_refused(storage: Storage, spec: TableSpec, shard: int, keep: int) -> None:
    path = f"t/{spec.shard_name(range(spec.shards)[shard])}"
    rewrite(storage, path, storage.read(path)[:keep])
    with pytest.raises(BadArtifact, match=path.replace(".", r"\.")):
        DenseTable.open(storage, "t")


@pytest.mark.parametrize("place", [0, 7, 8, 10, 12, 16, 24, 32, 36, 60, -1, -8, -9, -12, -13])
def test_a_flipped_byte_in_a_shard_s_frame_is_refused(storage: Storage, spec: TableSpec, place: int) -> None:
    path = f"t/{spec.shard_name(0)}"
    flip(storage, path, place)
    with pytest.raises(BadArtifact, match=path.replace(".", r"\.")):
        DenseTable.open(storage, "t")


def test_a_shard_of_another_table_is_refused(storage: Storage) -> None:
    spec = spec_of("float32")
    other = TableSpec(**{**spec.__dict__, "bundle": "f" * 16})
    write_table(storage, other)
    foreign = storage.read(f"t/{other.shard_name(1)}")
    storage.remove_tree("t")
    write_table(storage, spec)
    rewrite(storage, f"t/{spec.shard_name(1)}", foreign)
    with pytest.raises(BadArtifact, match="The table mixes builds"):
        DenseTable.open(storage, "t")


def test_two_shards_that_changed_places_are_refused(storage: Storage) -> None:
    spec = spec_of("float32")
    write_table(storage, spec)
    rewrite(storage, f"t/{spec.shard_name(1)}", storage.read(f"t/{spec.shard_name(0)}"))
    with pytest.raises(BadArtifact, match="The table mixes builds"):
        DenseTable.open(storage, "t")


def test_a_table_without_its_manifest_does_not_exist(storage: Storage, spec: TableSpec) -> None:
    storage.remove_tree("t/manifest.json")
    with pytest.raises(NotFound):
        DenseTable.open(storage, "t")


def test_a_table_without_one_shard_is_not_served(storage: Storage, spec: TableSpec) -> None:
    storage.remove_tree(f"t/{spec.shard_name(0)}")
    with pytest.raises((BadArtifact, NotFound), match="shard-000000"):
        DenseTable.open(storage, "t")


def test_every_flipped_byte_of_the_manifest_is_refused(storage: Storage) -> None:
    spec = spec_of("uint8", rows=3, shard_blocks=1)
    write_table(storage, spec)
    whole = storage.read("t/manifest.json")
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 0x04
        rewrite(storage, "t/manifest.json", bytes(data))
        with pytest.raises(BadArtifact, match=r"t/manifest\.json"):
            DenseTable.open(storage, "t")


@pytest.mark.parametrize(
    "change",
    [
        {"format": {"kind": "table", "version": 2}},
        {"format": {"kind": "bundle", "version": 1}},
        {"key": "0" * 32},
        {"spec": {}},
        {"spec": None},
    ],
)
def test_a_manifest_of_another_version_kind_or_key_is_refused(
    storage: Storage, spec: TableSpec, change: dict[str, object]
) -> None:
    fields = {**json.loads(storage.read("t/manifest.json")), **change}
    rewrite(storage, "t/manifest.json", seal(fields))
    with pytest.raises(BadArtifact, match=r"t/manifest\.json: must"):
        DenseTable.open(storage, "t")


def test_the_manifest_is_read_alone(storage: Storage, spec: TableSpec) -> None:
    assert read_table_manifest(storage, "t")["spec"] == spec.__dict__


def test_the_key_stays_what_it_was() -> None:
    # Written down once: if it changes, no published table is found any more.
    assert spec_of("float32").key == "b95ef99ff6781dce8e17394ae2785c83"
    assert spec_of("float16").key == "c8755f50cc49db8ebbf5091ae7750ea9"
    assert spec_of("uint8").key == "228ee25d6e56a1b49424f9841b1f8125"


@pytest.mark.parametrize(
    "rows, row_bytes, wanted", [(1, 4, 16384), (16384, 4, 16384), (16385, 4, 32768), (5, 12, 5461)]
)
def test_shards_are_whole_blocks(rows: int, row_bytes: int, wanted: int) -> None:
    assert whole_blocks(rows, row_bytes) == wanted
