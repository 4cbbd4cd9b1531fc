from __future__ import annotations

import io
import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.errors import BadArtifact
from engine.storage import Storage, open_storage
from jobs.scoring.chunk import Chunk
from jobs.scoring.csv_lines import CsvFormat
from jobs.scoring.format import FormatOptions, Wanted
from jobs.scoring.records import read_records

BOM = b"\xef\xbb\xbf"
HEADER = ["id", "city", "size"]
NASTY = st.sampled_from(
    [
        b"\n",
        b"\r\n",
        b"\r",
        b'"',
        b'""',
        b'","',
        b",",
        b",",
        b"a",
        b"1",
        b" ",
        b"\t",
        b"\0",
        BOM,
        "東".encode(),
        b"\xff",
    ]
)
TEXTS = st.lists(NASTY, max_size=30).map(b"".join)
ROWS = st.lists(st.tuples(TEXTS, st.sampled_from([b"x,y,z", b'"x","y""","z"', b"x,y", b"x,y,z,w", b""])), max_size=5)
_numbers = itertools.count()


def stored(data: bytes) -> tuple[Storage, str]:
    storage = open_storage("memory://csv-lines")
    name = f"{next(_numbers)}.csv"
    storage.create(name, data)
    return storage, name


def wanted(*columns: str, **partition: str | None) -> Wanted:
    return Wanted(columns=columns, texts=(), partition=partition)


def chunks(data: bytes, want: Wanted, **options: object) -> list[Chunk]:
    storage, name = stored(data)
    reader = CsvFormat(FormatOptions(**options))  # type: ignore[arg-type]
    pieces = reader.shape(storage, name, 1 << 20).pieces
    return [chunk for piece in pieces for chunk in reader.read(storage, name, piece.start, piece.stop, want)]


def rows(data: bytes, *columns: str, **options: object) -> list[dict[str, object] | str]:
    """Return each record: its wanted values, or the message of its fault."""
    found: list[dict[str, object] | str] = []
    for chunk in chunks(data, wanted(*columns), **options):
        assert not isinstance(chunk.values, list)
        for row, values in enumerate(chunk.values.to_pylist()):  # type: ignore[union-attr]
            found.append(str(chunk.malformed[row]) if row in chunk.malformed else values)
    return found


@given(parts=ROWS, multiline=st.booleans(), names=st.sampled_from([HEADER, ["city"], ["size", "id"]]))
@example(parts=[(b"", b'a"b,"c,z'), (b"", b'x,y",z')], multiline=False, names=HEADER)
@example(parts=[(b'a"b,"c,z\nx\ry\n1,2,3', b"x,y,z")], multiline=False, names=HEADER)  # one merged, one cut in two
@example(parts=[(b'a","\n"\n""\n"', b"x,y,z")], multiline=True, names=HEADER)
@example(parts=[(b"\xff,y,z", b"x,y,z")], multiline=False, names=["city"])  # broken where nobody looks
def test_both_paths_see_the_same_records(parts: list[tuple[bytes, bytes]], multiline: bool, names: list[str]) -> None:
    text = b"\n".join(nasty + b"\n" + plain for nasty, plain in parts)
    reader = CsvFormat(FormatOptions(multiline=multiline))
    for records in read_records(io.BytesIO(text), 0, len(text), quoted_breaks=multiline, where="file"):
        fast = reader._parse_block(records, HEADER, names)
        if fast is None:
            continue
        slow_batch, slow_malformed = reader._parse_each(records, HEADER, names)
        fast_batch, fast_malformed = fast
        assert fast_batch.select(names).to_pylist() == slow_batch.to_pylist()
        assert {row: str(error) for row, error in fast_malformed.items()} == {
            row: str(error) for row, error in slow_malformed.items()
        }


@pytest.mark.parametrize(
    "text",
    [
        b"1,Bern,2\n2,Wil,3\n",
        b'1,"Bern, BE",2\r\n2,"say ""Wil""",""\r\n',
        b"1,Bern\n2,Wil,3\n,,\n1,2,3,4\n",
        b"1\n2\n",
        "1,東京,2\r\n\r\n2,Łódź,3".encode(),
    ],
)
def test_usual_text_takes_the_fast_path(text: bytes) -> None:
    reader = CsvFormat(FormatOptions())
    (records,) = read_records(io.BytesIO(text), 0, len(text), quoted_breaks=False, where="file")
    assert reader._parse_block(records, HEADER, HEADER) is not None


@given(text=TEXTS)
def test_what_surrounds_a_record_does_not_change_it(text: bytes) -> None:
    """A block's records are judged one by one: beside a strange neighbour as alone."""
    line = text.replace(b"\n", b"")
    alone = rows(b"id,city,size\n" + line, *HEADER)
    beside = rows(b"id,city,size\nx,y,z\n" + line + b'\n\xff,"\nx,y,z', *HEADER)
    assert beside[1:-2] == alone
    assert [beside[0], beside[-1]] == [{"id": "x", "city": "y", "size": "z"}] * 2


@pytest.mark.parametrize(
    "line, found",
    [
        (b"1,Bern,2", {"id": "1", "city": "Bern", "size": "2"}),
        (b"1,,", {"id": "1", "city": "", "size": ""}),
        (b' 1 ,"",x y', {"id": " 1 ", "city": "", "size": "x y"}),
        (b'1,"a, ""b""",2', {"id": "1", "city": 'a, "b"', "size": "2"}),
        (b"1,NULL,NaN", {"id": "1", "city": "NULL", "size": "NaN"}),
        (b"1,Bern", "a record must have 3 fields, as the header; got 2"),
        (b"1,Bern,2,", "a record must have 3 fields, as the header; got 4"),
    ],
)
def test_a_record(line: bytes, found: object) -> None:
    assert rows(b"id,city,size\n" + line, *HEADER) == [found]


@pytest.mark.parametrize(
    "line",
    [
        b'1,"Bern,2',  # a quote that is never closed
        b'1,B"ern,2',
        b"1,\xff,2",
        b"\xff,Bern,2",  # in a column that nobody wants
        b"1,Be\rrn,2",  # half of it must not be lost
    ],
)
def test_what_is_no_record_is_malformed_and_kept_whole(line: bytes) -> None:
    (chunk,) = chunks(b"id,city,size\n0,a,b\n" + line + b"\n2,c,d\n", wanted("city", "size"))
    assert list(chunk.malformed) == [1]
    error = chunk.malformed[1]
    assert (error.cause, error.feature) == ("malformed", None)
    assert str(error).startswith("a record must be CSV in UTF-8: ")
    assert chunk.content(1) == (line, None)
    assert chunk.position(1) == (None, len(b"id,city,size\n0,a,b\n"))
    assert chunk.column("city").to_pylist() == ["a", None, "c"]  # type: ignore[union-attr]


def test_content_has_every_column() -> None:
    (chunk,) = chunks(b'id,city,note\n1,Bern,"a,b"\n', wanted("city", "day", day="2026-01-01"))
    assert chunk.content(0) == (
        b'1,Bern,"a,b"',
        {"day": "2026-01-01", "id": "1", "city": "Bern", "note": "a,b"},
    )
    assert chunk.column("day").to_pylist() == ["2026-01-01"]  # type: ignore[union-attr]
    assert chunk.column("note") is None  # not asked for


def test_a_column_that_the_file_lacks() -> None:
    (chunk,) = chunks(b"id\n1\n2\n", wanted("city"))
    assert chunk.column("city") is None
    assert len(chunk) == 2


def test_a_field_longer_than_pythons_own_limit_is_read_by_both_paths() -> None:
    long = b"x" * 200_000
    plain = rows(b"id,city,size\n1," + long + b",2\n", *HEADER)
    strange = rows(b"id,city,size\n1," + long + b',2\n"\n', *HEADER)
    assert plain == strange[:1] == [{"id": "1", "city": long.decode(), "size": "2"}]


@pytest.mark.parametrize("delimiter", ["\t", ";", "|"])
def test_delimiters(delimiter: str) -> None:
    text = 'id,city,size\n1,"a,b",2\n'.replace(",", delimiter).encode()
    assert rows(text, *HEADER, delimiter=delimiter) == [{"id": "1", "city": f"a{delimiter}b", "size": "2"}]


def test_line_breaks_in_fields() -> None:
    text = b'id,city,size\n1,"a\nb",2\n2,c,3\n'
    assert rows(text, *HEADER, multiline=True) == [
        {"id": "1", "city": "a\nb", "size": "2"},
        {"id": "2", "city": "c", "size": "3"},
    ]
    one, other, good = rows(text, *HEADER)
    assert "a quote is never closed" in str(one)
    assert "a quote is never closed" in str(other)
    assert good == {"id": "2", "city": "c", "size": "3"}


def test_a_mark_and_windows_line_breaks() -> None:
    assert rows(BOM + b'"id",city,size\r\n1,2,3\r\n', *HEADER) == [{"id": "1", "city": "2", "size": "3"}]


def test_the_header_is_in_no_piece() -> None:
    storage, name = stored(b"id,city\n1,a\n2,b\n")
    shape = CsvFormat(FormatOptions()).shape(storage, name, 4)
    assert [(piece.start, piece.stop) for piece in shape.pieces] == [(8, 12), (12, 16)]
    assert shape.schema is not None
    assert shape.schema.names == ["id", "city"]
    (whole,) = CsvFormat(FormatOptions(multiline=True)).shape(storage, name, 4).pieces
    assert (whole.start, whole.stop) == (8, 16)


@pytest.mark.parametrize("text", [b"id,city", b"id,city\n", b""])
def test_a_file_without_rows_has_no_pieces(text: bytes) -> None:
    storage, name = stored(text)
    assert CsvFormat(FormatOptions()).shape(storage, name, 4).pieces == ()


@pytest.mark.parametrize("text", [b"\n1,2\n", b'id,"city\n1,2\n', b"id,\xff\n", b"x" * (1 << 20) + b"\n1\n"])
def test_a_file_that_begins_with_no_names_is_refused(text: bytes) -> None:
    storage, name = stored(text)
    with pytest.raises(BadArtifact, match=rf"{name}: a CSV file must begin with a line of column names; got b"):
        CsvFormat(FormatOptions()).shape(storage, name, 4)


def test_equal_names_are_refused() -> None:
    storage, name = stored(b"id,id\n1,2\n")
    with pytest.raises(BadArtifact, match="columns must have distinct names; got id, id"):
        CsvFormat(FormatOptions()).shape(storage, name, 4)


def test_a_kept_error_keeps_no_block_of_text() -> None:
    """It would through its traceback: a file of nothing but bad rows would fill the memory."""
    for chunk in chunks(b"id,city,size\n" + b'1,"2\n1,2\n\xff\n' * 3, wanted("city")):
        assert len(chunk.malformed) == 9
        assert all(error.__traceback__ is None for error in chunk.malformed.values())
