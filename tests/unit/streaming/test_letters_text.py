"""Letters for people: the table, and one whole."""

from __future__ import annotations

import json

from streaming.letters.description import describe, description_json
from streaming.letters.letter import Letter
from streaming.letters.listing import Listing, time_text
from tests.support.letters import as_read, asked, letter
from tests.support.stream_records import ROW, arrow

TABLE = """\
letter  time                  disposition  cause             feature  attempts  origin        message
0:4     2023-11-14T22:14:20Z  poison       unknown_category  city     1         requests 0:7  feature 'city' must b…
0:5     2023-11-14T22:14:21Z  transient    transient         city     1         requests 0:8  feature 'city' must b…

1 older ones are not shown. --limit shows more

3 dead letters
         2  poison  unknown_category
         1  transient  transient"""


def test_the_table_fits_and_counts_all() -> None:
    listing = Listing(2)
    for offset, (disposition, cause) in enumerate([("poison", "unknown_category")] * 2 + [("transient", "transient")]):
        made = letter(asked("requests", 6 + offset), disposition=disposition, cause=cause)
        listing.add([Letter.of(as_read(made, 3 + offset, 1_700_000_059_000 + 1000 * offset))])
    assert listing.text(116) == TABLE
    found = json.loads(json.dumps(listing.to_json()))
    assert [one["letter"] for one in found["letters"]] == ["0:4", "0:5"]
    assert sum(count["letters"] for count in found["counts"]) == 3


def test_nothing_is_listed() -> None:
    assert Listing(1).text(80) == "0 dead letters"


def test_a_record_that_is_no_letter_is_listed_by_what_is_known() -> None:
    listing = Listing(1)
    listing.add([Letter.of(as_read(letter(asked("requests", 0)), timestamp_ms=-1)._replace(headers=()))])
    assert listing.text(80).splitlines()[1].split() == ["0:0", "-", "-", "-", "-", "0", "-", "-"]


def test_times() -> None:
    assert time_text(-1) is None
    assert time_text(1 << 62) is None
    assert time_text(999) == "1970-01-01T00:00:00Z"


def test_nothing_that_a_terminal_obeys_is_shown() -> None:
    record = asked("requests", 1, headers=[("x\x1b[2J", b"\x9b\x07")])
    shown = describe(Letter.of(as_read(letter(record))._replace(value=b'"\x1b]0;"')))
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert "not JSON" in shown


def test_json_and_arrow_are_shown_as_what_they_are() -> None:
    made = as_read(letter(asked("requests", 1)))
    assert '{\n  "city": "city 1",\n  "age": 1\n}' in describe(Letter.of(made))
    shown = describe(Letter.of(made._replace(value=arrow([ROW] * 22)))).splitlines()
    assert shown[-25:-21] == ["  city: string", "  plan: string", "  age: int64", "  size: string"]
    assert shown[-1] == "and 2 more"
    assert shown[-2] == str(ROW)
    cut = describe(Letter.of(made._replace(value=arrow([ROW])[:-20])))
    assert "begins as an Arrow stream: the body must be" in cut
    assert describe(Letter.of(made._replace(value=None))).endswith("value       none")


def test_bytes_in_json() -> None:
    made = as_read(letter(asked("requests", 1)))._replace(key=b"\xff", value=None)
    found = description_json(Letter.of(made))
    assert (found["key"], found["value"]) == ({"base64": "/w=="}, None)
    assert ["correlation-id", "id-1"] in found["headers"]  # type: ignore[operator]
