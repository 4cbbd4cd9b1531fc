"""The shard's bytes: the layout as documented, and every damage to its frame."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from crc32c import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import BadArtifact, EngineBug
from engine.shard import ShardLayout, read_checksums, read_layout, rows_per_block, write_shard

KEY = "00112233445566778899aabbccddeeff"
LAYOUT = ShardLayout(table_key=KEY, dtype=np.dtype("<f4"), width=2, first=2**40, rows=10, rows_per_block=4)
VALUES = np.arange(20, dtype=np.float32).reshape(10, 2)
HEADER, BODY, FOOTER, TAIL = 64, 80, 12, 12


def packed(layout: ShardLayout = LAYOUT, chunks: list[int] | None = None) -> bytes:
    """A shard of the first values, written in chunks that end at these rows."""
    file = io.BytesIO()
    values = np.resize(VALUES.ravel(), layout.rows * layout.width).reshape(layout.rows, layout.width)
    write_shard(file, layout, np.split(values.astype(layout.dtype), chunks or []))
    return file.getvalue()


def read(data: bytes) -> tuple[ShardLayout, list[int]]:
    file = io.BytesIO(data)
    layout = read_layout(file, len(data), where="shard")
    file.seek(layout.values_bytes, io.SEEK_CUR)
    return layout, read_checksums(file, layout, where="shard").tolist()


def test_the_bytes_are_as_documented() -> None:
    data = packed()
    assert len(data) == LAYOUT.size_bytes == HEADER + BODY + FOOTER + TAIL
    header = struct.pack("<8sHBBIQQI16s8x", b"FTDENSE\0", 1, 1, 0, 2, 2**40, 10, 4, bytes.fromhex(KEY))
    body = VALUES.astype("<f4").tobytes()
    footer = struct.pack("<3I", crc32c(body[:32]), crc32c(body[32:64]), crc32c(body[64:]))
    assert data == header + struct.pack("<I", crc32c(header)) + body + footer + struct.pack("<I", crc32c(footer)) + (
        b"FTDEND\0\0"
    )


def test_what_was_written_is_read() -> None:
    layout, checksums = read(packed())
    assert layout == LAYOUT
    body = VALUES.tobytes()
    assert checksums == [crc32c(body[:32]), crc32c(body[32:64]), crc32c(body[64:])]


@settings(max_examples=50)
@given(
    rows=st.integers(0, 40),
    width=st.integers(1, 3),
    block=st.integers(1, 9),
    dtype=st.sampled_from(["<f4", "u1", "<f2"]),
    data=st.data(),
)
def test_chunks_of_any_size_give_the_same_bytes(
    rows: int, width: int, block: int, dtype: str, data: st.DataObject
) -> None:
    layout = ShardLayout(table_key=KEY, dtype=np.dtype(dtype), width=width, first=3, rows=rows, rows_per_block=block)
    cuts = sorted(data.draw(st.lists(st.integers(0, rows), max_size=5)))
    whole = packed(layout)
    assert packed(layout, cuts) == whole
    assert read(whole)[0] == layout
    assert len(whole) == layout.size_bytes


@pytest.mark.parametrize("rows", [9, 11])
def test_a_wrong_number_of_rows_is_a_bug(rows: int) -> None:
    with pytest.raises(EngineBug, match="10 rows must have 80 bytes"):
        write_shard(io.BytesIO(), LAYOUT, [np.zeros((rows, 2), np.float32)])


@pytest.mark.parametrize("size", range(HEADER + BODY + FOOTER + TAIL))
def test_a_shard_cut_short_anywhere_is_refused(size: int) -> None:
    with pytest.raises(BadArtifact, match=r"shard.*(Copy or build it again|build it again)"):
        read(packed()[:size])


def test_a_shard_that_is_too_long_is_refused() -> None:
    with pytest.raises(BadArtifact, match="must be 168 bytes long; got 169"):
        read(packed() + b"\0")


@pytest.mark.parametrize("place", [*range(HEADER), *range(HEADER + BODY, HEADER + BODY + FOOTER + TAIL)])
@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_a_flipped_byte_in_header_or_footer_is_refused(place: int, mask: int) -> None:
    data = bytearray(packed())
    data[place] ^= mask
    with pytest.raises(BadArtifact, match="shard"):
        read(bytes(data))


def test_a_flipped_byte_in_a_value_is_not_the_frame_s_business() -> None:
    data = bytearray(packed())
    data[HEADER] ^= 1
    assert read(bytes(data))[1] != [crc32c(data[HEADER : HEADER + 32])]


def test_a_later_version_is_named() -> None:
    data = bytearray(packed())
    data[8] = 2
    data[60:64] = struct.pack("<I", crc32c(data[:60]))
    with pytest.raises(BadArtifact, match=r"must be of shard version 1; got 2\. Upgrade"):
        read(bytes(data))


def test_an_unknown_type_of_codes_is_refused() -> None:
    data = bytearray(packed())
    data[10] = 9
    data[60:64] = struct.pack("<I", crc32c(data[:60]))
    with pytest.raises(BadArtifact, match="header is damaged"):
        read(bytes(data))


def test_another_file_is_named_as_such() -> None:
    with pytest.raises(BadArtifact, match="must be a dense table's shard; got b'PAR1"):
        read(b"PAR1" * 50)


def test_a_block_is_about_64_kib() -> None:
    assert rows_per_block(4) * 4 == 65536
    assert rows_per_block(12) == 5461
    assert rows_per_block(100_000) == 1
