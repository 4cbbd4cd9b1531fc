from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadArtifact
from jobs.scoring import records as module
from jobs.scoring.records import byte_pieces, read_records

BOM = b"\xef\xbb\xbf"
PIECES = st.sampled_from([b"\n", b"\r\n", b"\r", b'"', b'""', b"a", b"bc", b",", BOM, "ü".encode(), b"\xff", b"\0"])
TEXTS = st.lists(PIECES, max_size=40).map(b"".join)
Found = list[tuple[int, bytes]]


def read(text: bytes, start: int = 0, stop: int | None = None, *, quoted_breaks: bool = False) -> Found:
    """Return (byte offset, text) of each record."""
    found = []
    stop = len(text) if stop is None else stop
    for records in read_records(io.BytesIO(text), start, stop, quoted_breaks=quoted_breaks, where="file"):
        for row in range(len(records)):
            number, offset = records.position(row)
            assert number is None
            assert offset is not None
            found.append((offset, records.text(row)))
    return found


def expected(text: bytes) -> Found:
    """The records of a text, one line after the other."""
    found = []
    offset = 0
    for line in text.split(b"\n"):
        skipped = len(BOM) if offset == 0 and line.startswith(BOM) else 0
        record = line[skipped:].removesuffix(b"\r")
        if record:
            found.append((offset + skipped, record))
        offset += len(line) + 1
    return found


@pytest.fixture(params=[1 << 21, 1, 7])
def block_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Blocks as they are, and so short that a record spans several."""
    size: int = request.param
    monkeypatch.setattr(module, "BLOCK_BYTES", size)
    return size


@pytest.mark.parametrize("block", [1 << 21, 1, 3])
@given(text=TEXTS)
def test_a_text_is_its_lines_whatever_the_blocks(text: bytes, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_BYTES", block)
        assert read(text) == expected(text)


@given(text=TEXTS)
def test_every_cut_at_every_byte_gives_each_record_once(text: bytes) -> None:
    whole = read(text)
    for cut in range(len(text) + 1):
        before, after = read(text, 0, cut), read(text, cut)
        assert before + after == whole, cut
        assert all(offset - 3 < cut for offset, _ in before)  # a mark before the first record is no record


@given(text=TEXTS, piece_bytes=st.integers(1, 9))
def test_pieces_cover_a_file(text: bytes, piece_bytes: int) -> None:
    pieces = byte_pieces(0, len(text), piece_bytes)
    assert sum(piece.size_bytes for piece in pieces) == len(text)
    assert [record for piece in pieces for record in read(text, piece.start, piece.stop)] == read(text)


@pytest.mark.parametrize(
    "text, records",
    [
        (b"", []),
        (b"\n\n\r\n", []),
        (b"a\nb", [(0, b"a"), (2, b"b")]),
        (b"a\r\n\r\nb\r\n", [(0, b"a"), (5, b"b")]),
        (BOM + b"a\nb\n", [(3, b"a"), (5, b"b")]),
        (BOM, []),
        (BOM + b"\r\na\n", [(5, b"a")]),
        (b"\na\n\n", [(1, b"a")]),
        (b"a\rb\n", [(0, b"a\rb")]),
    ],
)
@pytest.mark.usefixtures("block_bytes")
def test_lines(text: bytes, records: Found) -> None:
    assert read(text) == records


@pytest.mark.parametrize(
    "text, records",
    [
        (b'a,"b\nc"\nd\n', [(0, b'a,"b\nc"'), (8, b"d")]),
        (b'a,"b\r\nc"\r\nd', [(0, b'a,"b\r\nc"'), (10, b"d")]),
        (b'"x ""\n"" y"\nz\n', [(0, b'"x ""\n"" y"'), (12, b"z")]),
        (b'a,"\n\n\n",b', [(0, b'a,"\n\n\n",b')]),
        (b'a\nb,"never\nc\nd', [(0, b"a"), (2, b'b,"never'), (11, b"c"), (13, b"d")]),
        (b'"never', [(0, b'"never')]),
        (b'a,"', [(0, b'a,"')]),
    ],
)
@pytest.mark.usefixtures("block_bytes")
def test_records_that_span_lines(text: bytes, records: Found) -> None:
    assert read(text, quoted_breaks=True) == records


def test_a_quote_that_is_never_closed_costs_only_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Far from the end of the file too: its rows must not be one record."""
    monkeypatch.setattr(module, "BLOCK_BYTES", 64)
    monkeypatch.setattr(module, "_LONGEST_QUOTED_BYTES", 100)
    lines = [b'a,"open', *(b"row %03d" % number for number in range(200))]
    assert [record for _, record in read(b"\n".join(lines), quoted_breaks=True)] == lines


@pytest.mark.parametrize("size", [150, 500])
def test_a_long_record_without_an_open_quote_is_whole(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", 64)
    monkeypatch.setattr(module, "_LONGEST_QUOTED_BYTES", 100)
    long = b'"a\nb",' + b"x" * size
    assert [record for _, record in read(long + b"\nc\n", quoted_breaks=True)] == [long, b"c"]


def test_a_record_of_megabytes_is_whole() -> None:
    long = b"x" * 5_000_000
    text = b"a\n" + long + b"\nb\n"
    assert read(text) == [(0, b"a"), (2, long), (len(long) + 3, b"b")]
    assert read(text, 3, 100) == []
    assert read(text, 2, 3) == [(2, long)]


@pytest.mark.parametrize("quoted_breaks", [False, True])
def test_a_file_without_line_breaks_is_refused(quoted_breaks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", 64)
    monkeypatch.setattr(module, "_LONGEST_RECORD_BYTES", 1000)
    text = b"a\n" + b"x" * 5000
    message = r"file: a record must end within 1000 bytes; from byte 2 on none does"
    with pytest.raises(BadArtifact, match=message):
        read(text, quoted_breaks=quoted_breaks)
    with pytest.raises(BadArtifact, match="must end within 1000 bytes"):  # a range that begins in it
        read(text, 500, 600)


def test_short_records_make_chunks_of_no_more_rows_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_ROWS", 3)
    text = b"a\nb\n\nc\nd\ne"
    found = list(read_records(io.BytesIO(text), 0, len(text), quoted_breaks=False, where="file"))
    assert [len(records) for records in found] == [3, 2]
    assert read(text) == expected(text)


def test_odd_quotes() -> None:
    (records,) = read_records(io.BytesIO(b'a\n"b"\n"c\n""\n'), 0, 12, quoted_breaks=False, where="file")
    assert records.odd_quotes().tolist() == [False, False, True, False]
