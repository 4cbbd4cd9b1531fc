"""One connection: what a client sends in which pieces, and what it is told."""

from __future__ import annotations

import gc
import logging
import tracemalloc

import pytest

from online.http.reply import Reply
from online.http.request import Request
from tests.support.scripted_wire import Recorder, Wire, reply

GET = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def post(body: bytes, *headers: bytes, path: bytes = b"/p") -> bytes:
    head = [b"POST %b HTTP/1.1" % path, b"Host: x", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([*head, b"", body])


def asked(wire: Wire) -> list[tuple[str, str, bytes]]:
    return [(each.method, each.path, each.body) for each in wire.application.asked]


MANY = (
    GET % 1
    + b"HEAD /h?a=b HTTP/1.1\r\nHost: x\r\nX-A:\r\nX-B: 1\r\nx-b: 2 \r\n\r\n"
    + post(b"one", b"Expect: nothing")
    + CHUNKED
    + b"3;ext=1\r\ntwo\r\n4\r\n and\r\n0\r\nX-Trailer: t\r\nHost: forged\r\n\r\n"
    + b"\r\nPOST /u HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    + b"HTTP2-Settings: AAMA\r\nContent-Length: 5\r\n\r\nthree"
    + b"GET http://proxy/absolute HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
    + b"GET /last HTTP/1.0\r\n\r\n"
)
MANY_ASKED = [
    ("GET", "/1", b""),
    ("HEAD", "/h", b""),
    ("POST", "/p", b"one"),
    ("POST", "/c", b"two and"),
    ("POST", "/u", b"three"),
    ("GET", "/absolute", b""),
    ("GET", "/last", b""),
]


def check_many(wire: Wire) -> None:
    assert asked(wire) == MANY_ASKED
    told = wire.told(*[method for method, _, _ in MANY_ASKED])
    bodies = [b"" if method == "HEAD" else f"{method} {path} ".encode() + body for method, path, body in MANY_ASKED]
    assert [each.body for each in told] == bodies
    assert [each.headers.get("connection") for each in told] == [None] * 4 + ["keep-alive"] * 2 + ["close"]
    assert told[1].headers["content-length"] == "8"  # what GET would have
    assert wire.transport.closing
    assert not wire.transport.aborted
    assert wire.traffic.buffered_bytes == 0


def test_requests_are_the_same_wherever_they_are_cut() -> None:
    for place in range(1, len(MANY)):
        wire = Wire()
        wire.send(MANY[:place], MANY[place:])
        check_many(wire)
    wire = Wire()
    wire.send(*[MANY[place : place + 1] for place in range(len(MANY))])
    check_many(wire)
    headers = wire.application.asked[1].headers
    assert headers == {b"host": b"x", b"x-a": b"", b"x-b": b"1, 2 "}
    assert wire.application.asked[1].query == "a=b"
    assert wire.application.asked[3].headers[b"host"] == b"x"  # no trailer


def test_answers_come_in_the_order_of_the_requests() -> None:
    wire = Wire(Recorder(later=True))
    wire.send(*[MANY[place : place + 7] for place in range(0, len(MANY), 7)])
    for number in range(len(MANY_ASKED)):
        assert len(wire.application.asked) == number + 1  # one at a time
        wire.answer()
    check_many(wire)


def test_client_that_waits_for_nothing_is_not_read() -> None:
    wire = Wire(Recorder(later=True))
    wire.send(GET % 0)
    assert wire.transport.reading
    wire.send(GET % 1 + GET % 2)
    assert not wire.transport.reading
    wire.answer()
    assert not wire.transport.reading
    wire.answer()
    assert wire.transport.reading  # the last is under way
    wire.answer()
    assert [each.body for each in wire.told()] == [b"GET /0 ", b"GET /1 ", b"GET /2 "]
    assert not wire.transport.closing


def test_at_most_64_wait() -> None:
    wire = Wire(Recorder(later=True))
    wire.send(b"".join(GET % number for number in range(100)))
    wire.answer(65)
    told = wire.told()
    assert [each.body for each in told] == [b"GET /%d " % number for number in range(65)]
    assert [each.headers.get("connection") for each in told] == [None] * 64 + ["close"]
    assert wire.transport.ended  # and the client may still read
    assert not wire.transport.closing


@pytest.mark.parametrize(
    "head, connection, stays",
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", None, True),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n", "keep-alive", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "close", False),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: X-A, Close\r\n\r\n", "close", False),
        (b"GET / HTTP/1.0\r\n\r\n", "close", False),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "keep-alive", True),
    ],
)
@pytest.mark.parametrize("later", [False, True])
def test_connection_stays_where_the_client_wants_it(
    head: bytes, connection: str | None, stays: bool, later: bool
) -> None:
    wire = Wire(Recorder(later=later))
    wire.send(head + b"GET /second HTTP/1.1\r\nHost: x\r\n\r\n")
    wire.answer(len(wire.application.pending))
    assert wire.told()[0].headers.get("connection") == connection
    assert wire.told()[0].headers["date"] == "today"
    assert wire.transport.closing is not stays
    assert wire.application.faults == []
    assert len(wire.application.asked) == 1 + stays
    wire.answer(len(wire.application.pending))
    assert len(wire.told()) == 1 + stays


@pytest.mark.parametrize("code", [204, 304])
def test_answers_without_a_body(code: int) -> None:
    wire = Wire(Recorder(answer=lambda _: Reply(code, b"", b"none of this")))
    wire.send(GET % 1 + GET % 2)
    assert wire.transport.sent.count(b"\r\n\r\n") == 2
    assert b"none" not in wire.transport.sent


def test_body_too_long_to_copy() -> None:
    body = bytes(200_000)
    wire = Wire(Recorder(answer=lambda _: reply(200, body)))
    wire.send(GET % 1)
    assert wire.told()[0].body == body


def test_client_is_told_to_send_its_body() -> None:
    wire = Wire(Recorder(later=True))
    head, _, body = post(b"body", b"Expect: 100-Continue").partition(b"\r\n\r\n")
    wire.send(head + b"\r\n\r\n")
    assert wire.transport.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.send(body)
    wire.answer()
    assert [each.code for each in wire.told()] == [100, 200]
    # A client that waits for an earlier answer would take it for that.
    wire.send(GET % 1, head + b"\r\n\r\n", body)
    wire.answer(2)
    assert [each.code for each in wire.told()] == [100, 200, 200, 200]


def test_old_client_knows_no_100() -> None:
    wire = Wire()
    wire.send(post(b"body", b"Expect: 100-continue").replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert [each.code for each in wire.told()] == [200]


@pytest.mark.parametrize(
    "sent, code",
    [
        (b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n", 413),  # before it is read
        (CHUNKED + b"3e8\r\n" + bytes(1000) + b"\r\n1\r\n", None),
        (CHUNKED + b"3e8\r\n" + bytes(1000) + b"\r\n1\r\nx", 413),
        (CHUNKED + b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n", 200),
        (CHUNKED + b"1\r\nx\r\n" * 1001, 413),
        (CHUNKED + b"7ffffffffffffff\r\nx", None),
        (post(bytes(1000)), 200),
        (b"GET /p HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n", 413),
        (b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551615\r\n\r\n", 413),
        (b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551616\r\n\r\n", 400),
    ],
)
def test_body_has_a_limit(sent: bytes, code: int | None) -> None:
    for size in (1, 100, len(sent)):
        wire = Wire()
        wire.send(*[sent[place : place + size] for place in range(0, len(sent), size)])
        assert [each.code for each in wire.told()] == ([] if code is None else [code])
        assert wire.transport.ended is (code in {400, 413})
        assert wire.application.faults == ([(code, "/p" if b"/p" in sent else "/c")] if code in {400, 413} else [])
        wire.hang_up()
        assert wire.traffic.buffered_bytes == 0


def test_all_bodies_together_have_a_limit() -> None:
    wire = Wire(Recorder(later=True))
    others = [wire.another() for _ in range(3)]
    for number, (_, connection) in enumerate(others[:2]):
        connection.data_received(post(bytes(1000)))
        assert wire.traffic.buffered_bytes == (number + 1) * 1000
    wire.send(post(bytes(1000))[:-500])
    assert wire.traffic.buffered_bytes == 2500
    wire.send(b"x")
    assert [each.code for each in wire.told()] == [503]
    assert wire.traffic.buffered_bytes == 2000
    wire.answer()
    assert wire.traffic.buffered_bytes == 1000
    others[1][1].connection_lost(None)
    assert wire.traffic.buffered_bytes == 1000  # the application still has it
    wire.answer()
    assert wire.traffic.buffered_bytes == 0


def test_tiny_chunks_take_no_more_memory_than_they_hold() -> None:
    wire = Wire(body_bytes=1 << 20, buffered_bytes=1 << 20)
    chunks = b"2\r\nxx\r\n" * 1000
    wire.send(CHUNKED)
    tracemalloc.start()
    try:
        for _ in range(100):
            wire.send(chunks)
        taken_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert wire.traffic.buffered_bytes == 200_000
    assert taken_bytes < 300_000


def test_idle_connection_holds_no_request() -> None:
    wire = Wire()
    wire.send(post(b"abc"))
    wire.application.asked.clear()
    wire.application.later = True
    wire.send(post(b"abc") + post(b"def"))
    wire.hang_up()
    wire.answer()
    wire.application.asked.clear()
    gc.collect()
    assert not [each for each in gc.get_objects() if isinstance(each, Request)]


FIRST = b"GET / HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "sent, code",
    [
        (FIRST + b"X: " + b"x" * 1900 + b"\r\n\r\n", 200),
        (FIRST + b"X: " + b"x" * 2000 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 2100 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (b"GET /" + b"x" * 1200 + b" HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 1200 + b"\r\n\r\n", 431),
        (FIRST + b"".join(b"X-%d: x\r\n" % number for number in range(300)) + b"\r\n", 431),
        (FIRST + b"X: x\r\n" * 20 + b"\r\n", 200),
        (FIRST + b"X: x\r\n" * 100 + b"\r\n", 431),  # joining them is work that grows with their square
        (FIRST + b"X: " + b"x" * 4000, 431),
        (FIRST + b"x" * 4000, 431),
        (b"GET /" + b"x" * 4000, 431),
        (b"\r\n" * 2000, 431),
        (CHUNKED + b"0\r\nX: " + b"x" * 4000, 431),
        (CHUNKED + b"0\r\n" + b"X: x\r\n" * 1000, 431),
        (CHUNKED + b"1;" + b"x" * 4000, 431),
    ],
)
def test_head_has_a_limit_and_what_is_no_body_too(sent: bytes, code: int) -> None:
    for size in (1, 50, len(sent)):
        wire = Wire()
        wire.send(*[sent[place : place + size] for place in range(0, len(sent), size)])
        assert [each.code for each in wire.told()] == [code]
        assert wire.transport.ended is (code == 431)


def test_many_headers_of_one_name_are_not_joined_without_end() -> None:
    wire = Wire()
    wire.send(FIRST + b"X: %b\r\n" % (b"x" * 100) * 10_000 + b"\r\n")
    assert wire.application.faults == [(431, "/")]
    assert len(wire.connection._headers[b"x"]) < 2500


@pytest.mark.parametrize(
    "sent, code",
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: x\r\nhost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 200),
        (post(b"abc", b"Host: x"), 400),
        (b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"CONNECT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 400),
        (b"CONNECT /x HTTP/1.1\r\nHost: x\r\nUpgrade: a\r\nConnection: upgrade\r\nContent-Length: 3\r\n\r\nabc", 400),
        (b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"POST http://[::1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 400),
        (b"GET nowhere HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"NOTHING / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.7\r\nHost: x\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-\xff: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: \xff\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: \x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (post(b"abc", b"Content-Length: 3"), 400),
        (post(b"abc", b"Content-Length: 4"), 400),
        (post(b"0\r\n\r\n", b"Transfer-Encoding: chunked"), 400),
        (CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n") + b"0\r\n\r\n", 400),
        (CHUNKED.replace(b"chunked", b"xchunked") + b"0\r\n\r\n", 501),
        (CHUNKED.replace(b"chunked", b"identity") + b"0\r\n\r\n", 501),
        (CHUNKED.replace(b"chunked", b"gzip, chunked") + b"0\r\n\r\n", 501),
        (CHUNKED.replace(b"chunked", b",chunked") + b"0\r\n\r\n", 501),
        (CHUNKED.replace(b"chunked", b"chunked, identity") + b"0\r\n\r\n", 400),
        (CHUNKED.replace(b"chunked", b"\x0bchunked") + b"0\r\n\r\n", 400),
        (CHUNKED.replace(b"chunked", b"Chunked") + b"0\r\n\r\n", 200),
        (CHUNKED.replace(b"/1.1", b"/1.0") + b"0\r\n\r\n", 501),
        (CHUNKED + b"0x1\r\nx\r\n0\r\n\r\n", 400),
        (CHUNKED + b"1\nx\n0\n\n", 400),
        (CHUNKED + b"1 \r\nx\r\n0\r\n\r\n", 400),
        (CHUNKED + b"1\r\nxyz0\r\n\r\n", 400),
        (CHUNKED + b"0\r\nContent-Length: 3\r\n\r\n", 400),
    ],
)
def test_what_cannot_be_one_request_is_refused(sent: bytes, code: int) -> None:
    wire = Wire()
    wire.send(sent + (GET % 7 if code != 200 else b""))
    (told,) = wire.told()
    assert told.code == code
    assert [found for found, _ in wire.application.faults] == ([] if code == 200 else [code])
    if code != 200:
        assert told.headers["connection"] == "close"
        assert (wire.transport.ended, wire.application.asked) == (True, [])


def test_what_follows_answers_and_is_no_request_is_refused_after_them() -> None:
    wire = Wire(Recorder(later=True))
    wire.send(GET % 1 + post(b"abc") + b"garbage\r\n\r\n" + GET % 2)
    assert wire.transport.sent == b""
    wire.answer(2)
    assert [each.code for each in wire.told()] == [200, 200, 400]
    assert [each.headers.get("connection") for each in wire.told()] == [None, None, "close"]
    assert wire.application.faults == [(400, "")]  # not of the path before it
    assert wire.transport.ended


def test_refusal_of_head_has_no_body() -> None:
    for later in (False, True):
        wire = Wire(Recorder(later=later))
        wire.send(GET % 1 + b"HEAD / HTTP/1.1\r\n\r\n" + GET % 2)
        wire.answer(len(wire.application.pending))
        assert [each.code for each in wire.told("GET", "HEAD")] == [200, 400]


def test_body_is_refused_before_it_comes() -> None:
    application = Recorder(refusal=reply(401, b"who?"))
    wire = Wire(application)
    wire.send(post(b"secret", b"Expect: 100-continue"))
    assert [(each.code, each.headers["connection"]) for each in wire.told()] == [(401, "close")]
    assert (application.asked, wire.traffic.buffered_bytes, wire.transport.ended) == ([], 0, True)
    wire.send(b"more" * 1000)
    assert len(wire.told()) == 1


def test_fault_of_the_application_is_told(caplog: pytest.LogCaptureFixture) -> None:
    class Faulty(Recorder):
        def refuse(self, request: Request) -> Reply | None:
            raise ZeroDivisionError

    wire = Wire(Faulty())
    with caplog.at_level(logging.ERROR):
        wire.send(post(b"abc"))
    assert [each.code for each in wire.told()] == [500]
    assert "reading a request from 192.0.2.7" in caplog.text


def test_only_a_path_is_read_of_a_target() -> None:
    wire = Wire()
    wire.send(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
    assert asked(wire) == [("OPTIONS", "*", b"")]
