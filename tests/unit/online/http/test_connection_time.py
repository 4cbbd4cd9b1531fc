"""One connection over time: slow clients, clients that read nothing, ends of either side, and the clock."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.scripted_wire import Recorder, Wire, reply

GET = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"


def test_head_must_come_in_time() -> None:
    wire = Wire(head_s=10)
    wire.send(b"GET / HT")
    for byte in (b"T", b"P", b"/"):
        wire.wait(3)
        wire.send(byte)
    assert wire.transport.sent == b""
    wire.wait(2)
    assert [(each.code, each.headers["connection"]) for each in wire.told()] == [(408, "close")]
    assert wire.application.faults == [(408, "/")]


def test_each_part_of_a_request_has_a_clock_of_its_own() -> None:
    wire = Wire(head_s=10, stall_s=10, idle_s=75, linger_s=2)
    wire.wait(70)
    wire.send(POST[:5])
    wire.wait(9)
    wire.send(POST[5:])
    wire.wait(9)
    wire.send(b"0123456789")
    wire.wait(70)
    wire.send(b"POST /p")
    wire.wait(9)
    wire.send(b" HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n")
    wire.wait(2)
    assert [each.code for each in wire.told()] == [200, 413]
    assert not wire.transport.aborted


def test_body_must_go_on() -> None:
    wire = Wire(stall_s=10)
    wire.send(POST)
    for _ in range(9):
        wire.wait(9)
        wire.send(b"x")
    wire.wait(10)
    assert wire.transport.sent == b""
    wire.wait(1)
    assert [each.code for each in wire.told()] == [408]
    assert wire.traffic.buffered_bytes == 0


def test_idle_connection_is_closed() -> None:
    wire = Wire(idle_s=75)
    wire.wait(70)
    wire.send(GET % 1)
    wire.wait(75)
    assert not wire.transport.closing
    wire.wait(1)
    assert (wire.transport.closing, wire.transport.aborted) == (True, False)


def test_clock_of_the_next_request_begins_with_the_answer() -> None:
    wire = Wire(Recorder(later=True), head_s=10, idle_s=75)
    wire.send(GET % 1, b"GET ")
    wire.wait(500)  # the application may take its time
    wire.answer()
    wire.wait(10)
    assert [each.code for each in wire.told()] == [200]
    wire.wait(1)
    assert [each.code for each in wire.told()] == [200, 408]


@pytest.mark.parametrize("tls", [False, True])
def test_refused_client_has_time_to_read_why(tls: bool) -> None:
    wire = Wire(linger_s=2, tls=tls)
    wire.send(b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n")
    assert [each.code for each in wire.told()] == [413]
    assert (wire.transport.ended, wire.transport.closing) == (not tls, False)
    for _ in range(20):
        wire.send(bytes(5000))  # a reset would take the reply with it
    wire.wait(2)
    assert not wire.transport.closing
    wire.wait(1)
    assert wire.transport.aborted
    assert wire.traffic.buffered_bytes == 0


def test_lingering_ends_with_the_client() -> None:
    wire = Wire()
    wire.send(b"garbage\r\n\r\n")
    assert wire.connection.eof_received() is False  # asyncio closes then


@pytest.mark.parametrize("close", [b"", b"Connection: close\r\n"])
def test_client_that_does_not_read_is_closed(close: bytes) -> None:
    wire = Wire(unread_s=30)
    wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n" + close + b"\r\n")
    wire.transport.unread = 50
    wire.wait(29)
    wire.transport.unread = 40  # it has taken some, as is seen a second later
    wire.wait(31)
    assert not wire.transport.aborted
    wire.wait(1)
    assert wire.transport.aborted


def test_drained_client_that_does_not_read_is_closed() -> None:
    wire = Wire(idle_s=5, unread_s=30)
    wire.send(GET % 1)
    wire.transport.unread = 50
    wire.connection.drain()
    assert (wire.transport.closing, wire.transport.aborted) == (True, False)
    wire.wait(32)
    assert wire.transport.aborted


def test_nothing_more_is_begun_before_the_client_has_read() -> None:
    wire = Wire(Recorder(answer=lambda _: reply(200, bytes(100))))
    wire.connection.pause_writing()
    wire.send(GET % 1 + GET % 2)
    assert (wire.application.asked, wire.transport.reading) == ([], False)
    wire.connection.resume_writing()
    assert len(wire.told()) == 2
    assert wire.transport.reading


def test_reading_client_gets_one_answer_at_a_time() -> None:
    wire = Wire(Recorder(later=True))
    wire.send(GET % 1 + GET % 2)
    wire.connection.pause_writing()
    wire.connection.resume_writing()
    assert len(wire.application.asked) == 1
    wire.connection.pause_writing()
    wire.answer()
    assert len(wire.application.asked) == 1
    wire.connection.resume_writing()
    wire.answer()
    assert [each.body for each in wire.told()] == [b"GET /1 ", b"GET /2 "]


def test_client_that_sends_no_more_gets_its_answers() -> None:
    wire = Wire(Recorder(later=True))
    wire.send(GET % 1 + GET % 2)
    assert wire.connection.eof_received() is True
    wire.answer(2)
    assert [each.headers.get("connection") for each in wire.told()] == [None, "close"]
    assert wire.transport.closing


def test_client_that_sends_no_more_and_does_not_read_yet_gets_its_answers() -> None:
    wire = Wire()
    wire.connection.pause_writing()
    wire.send(GET % 1)
    assert wire.connection.eof_received() is True
    wire.connection.resume_writing()
    assert [each.headers.get("connection") for each in wire.told()] == ["close"]
    assert wire.transport.closing


def test_end_is_the_end_where_nothing_is_under_way() -> None:
    for sent in (b"", b"GET / HT", POST + b"abc", GET % 1):
        wire = Wire()
        wire.send(sent)
        assert wire.connection.eof_received() is False
        assert wire.traffic.buffered_bytes == 0
    wire = Wire(Recorder(later=True), tls=True)
    wire.send(GET % 1)
    assert wire.connection.eof_received() is False  # TLS cannot half close; to say so would be logged as a fault


def test_drain_closes_what_is_idle_and_finishes_what_is_not() -> None:
    wire = Wire(Recorder(later=True))
    wire.listener.draining = True
    wire.connection.drain()
    assert wire.transport.closing
    wire = Wire(Recorder(later=True))
    wire.send(POST + b"abc")
    wire.listener.draining = True
    wire.connection.drain()
    wire.send(b"defghij")
    wire.answer()
    assert [(each.code, each.headers["connection"]) for each in wire.told()] == [(200, "close")]
    assert wire.transport.closing


def test_drain_answers_what_waits_and_drops_what_is_half_here() -> None:
    wire = Wire(Recorder(later=True))
    wire.send(GET % 1 + GET % 2 + POST + b"abc")
    wire.listener.draining = True
    wire.connection.drain()
    wire.answer(2)
    assert [each.headers.get("connection") for each in wire.told()] == [None, "close"]
    assert wire.transport.ended  # and no reset: the client may be sending
    assert wire.traffic.buffered_bytes == 0


def test_drain_answers_what_waits_for_its_client_to_read() -> None:
    wire = Wire()
    wire.connection.pause_writing()
    wire.send(GET % 1)
    wire.listener.draining = True
    wire.connection.drain()
    assert not wire.transport.closing
    wire.connection.resume_writing()
    assert [each.headers.get("connection") for each in wire.told()] == ["close"]


def test_longest_idle_makes_room() -> None:
    wire = Wire(Recorder(later=True), connections=3)
    _, busy = wire.another()
    busy.data_received(GET % 1)
    wire.listener.now = 1
    second, _ = wire.another()
    wire.listener.now = 2
    third, _ = wire.another()
    assert [each.closing for each in (wire.transport, second, third)] == [True, False, False]
    fourth, _ = wire.another()  # before the closed one is gone
    assert [each.closing for each in (second, third, fourth)] == [True, False, False]
    more = [wire.another()[0] for _ in range(20)]  # in one second: the first to come are the first to go
    assert [each.closing for each in more] == [True] * 18 + [False] * 2
    assert wire.traffic.connections == 3


def test_newcomer_finds_no_room_where_all_have_requests() -> None:
    wire = Wire(Recorder(later=True), connections=2)
    _, other = wire.another()
    for connection in (wire.connection, other):
        connection.data_received(GET % 1)
    wire.transport.unread = 5
    wire.answer()  # it is still read
    newcomer, _ = wire.another()
    assert newcomer.closing
    assert not wire.transport.closing
    assert wire.traffic.connections == 2


def test_bytes_of_what_waits_are_given_back_with_the_connection() -> None:
    wire = Wire(Recorder(later=True))
    wire.send((POST + b"0123456789") * 3 + POST + b"abc")
    assert wire.traffic.buffered_bytes == 33
    wire.hang_up()
    assert wire.traffic.buffered_bytes == 10  # the application has it
    wire.answer()
    assert wire.traffic.buffered_bytes == 0


EVENTS = st.one_of(
    st.sampled_from(
        [
            ("send", GET % 1),
            ("send", POST),
            ("send", POST + b"0123456789"),
            ("send", POST + b"0123456789" + POST + b"abc"),
            ("send", b"abc"),
            ("send", b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"),
            ("send", b"5\r\nhello\r\n"),
            ("send", b"0\r\n\r\n"),
            ("send", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n"),
            ("send", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"),
            (
                "send",
                b"POST / HTTP/1.1\r\nHost: x\r\nUpgrade: a\r\nConnection: upgrade\r\nContent-Length: 3\r\n\r\nabc",
            ),
            ("send", (POST + b"0123456789") * 70),
            ("answer", None),
            ("pause_writing", None),
            ("resume_writing", None),
            ("wait", 11),
            ("wait", 80),
            ("unread", 7),
            ("unread", 0),
            ("drain", None),
            ("eof", None),
            ("lost", None),
        ]
    ),
    st.tuples(st.just("send"), st.binary(max_size=12)),
)


def happen(wire: Wire, event: str, value: Any) -> bool:
    """Let something happen; return whether the connection is gone by it."""
    if event == "send":
        if wire.transport.reading:
            wire.send(value)
    elif event == "wait":
        wire.wait(value)
    elif event == "unread":
        wire.transport.unread = value
    elif event == "drain":
        wire.listener.draining = True
        wire.connection.drain()
    elif event == "eof":
        return not wire.connection.eof_received()
    elif event in {"pause_writing", "resume_writing"}:
        getattr(wire.connection, event)()
    return event == "lost"


@given(st.lists(EVENTS, max_size=30), st.booleans())
def test_bytes_of_bodies_are_given_back_whatever_happens(events: list[tuple[str, Any]], later: bool) -> None:
    wire = Wire(Recorder(later=later), buffered_bytes=300)
    other, _ = wire.another()
    gone = False
    for event, value in events:
        if event == "answer":
            wire.answer(min(1, len(wire.application.pending)))
        elif not gone:
            gone = happen(wire, event, value)
            if gone:
                wire.hang_up()
        assert 0 <= wire.traffic.buffered_bytes <= 300 + 10
        told = [each.code for each in wire.told() if each.code != 100]
        assert all(code == 200 for code in told[:-1])  # a refusal is the last
        assert gone or told.count(200) == len(wire.application.asked) - len(wire.application.pending)
    if not gone:
        wire.hang_up()
    wire.answer(len(wire.application.pending))
    assert (wire.traffic.buffered_bytes, wire.traffic.connections, other.closing) == (0, 1, False)
