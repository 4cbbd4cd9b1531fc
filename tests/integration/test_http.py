"""HTTP on real sockets: what clients do that mean no good, or know no better."""

from __future__ import annotations

import http.client
import json
import resource
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from urllib.parse import urlencode

import psutil
import pytest
import uvloop

from online.http.limits import Limits
from online.http.listener import Listener
from online.http.traffic import Traffic
from tests.support.certificate import make_certificate
from tests.support.listening import Listening, listening
from tests.support.scripted_wire import Recorder, echo, read_replies, reply
from tests.support.serving import ServerProcess
from tests.support.synthetic import FINITE_NAME
from tests.support.waiting import wait_until

PREDICT = f"/v1/models/{FINITE_NAME}:predict"
ROW = {"city": "São Paulo", "plan": "pro", "age": 33, "size": "2"}
QUERY = f"{PREDICT}?{urlencode(ROW)}"
GET = f"GET {QUERY} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
POST = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\n".encode()
OPEN = "foretable_connections"
LIMITS = Limits(body_bytes=1000, buffered_bytes=10_000)


@pytest.fixture(scope="module")
def server(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that every test must leave as it was."""
    logs = tmp_path_factory.mktemp("logs") / "server"
    with ServerProcess(published, "--max-body-bytes", "100000", logs=logs) as running:
        yield running
        assert "Traceback" not in running.log


@pytest.fixture
def unharmed(server: ServerProcess) -> Iterator[ServerProcess]:
    """The server, which afterwards holds nothing and answers as before."""
    before = server.request(QUERY)[2]
    yield server
    server.wait_for_metric("foretable_buffered_body_bytes", 0)
    server.wait_for_metric("foretable_requests_under_way", 0)
    wait_until(lambda: server.metric(OPEN) == 1, what="only this connection is open", timeout_s=30)
    assert server.request(QUERY)[2] == before


def connect(server: ServerProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def read(connection: socket.socket) -> bytes:
    """Read until the server closes."""
    received = b""
    while data := connection.recv(65536):
        received += data
    return received


def ask(connection: socket.socket, request: bytes = GET) -> str:
    """Send a request on a connection that stays, and return the ``Date`` of its answer, which is 200."""
    connection.sendall(request)
    response = http.client.HTTPResponse(connection)
    response.begin()
    response.read()
    assert response.status == 200
    return response.headers["Date"]


def test_one_connection_carries_many_requests(unharmed: ServerProcess) -> None:
    with closing(unharmed.connect()) as connection:
        answers = set()
        for number in range(1000):
            if number % 2:
                connection.request("POST", PREDICT, json.dumps({"instances": [ROW]}))
            else:
                connection.request("GET", QUERY)
            response = connection.getresponse()
            answers.add((response.status, response.read()))
            assert response.headers["Connection"] is None
        assert len(answers) == 2


def test_requests_in_one_packet_are_answered_in_order(unharmed: ServerProcess) -> None:
    body = json.dumps({"instances": [ROW]}).encode()
    post = POST + b"Content-Length: %d\r\nX-Request-Id: post\r\n\r\n" % len(body) + body
    head = GET.replace(b"GET", b"HEAD", 1).replace(b"Host", b"X-Request-Id: head\r\nHost")
    page = b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Request-Id: page\r\n\r\n"
    end = GET.replace(b"Host", b"Connection: close\r\nHost")
    with connect(unharmed) as connection:
        connection.sendall(GET + post + head + page + post + end)
        told = read_replies(read(connection), ["GET", "POST", "HEAD", "GET", "POST", "GET"])
    assert [each.code for each in told] == [200] * 6
    assert [each.headers["x-request-id"] for each in told[1:5]] == ["post", "head", "page", "post"]
    assert told[0].body == told[5].body


def test_client_that_wishes_for_http_2_is_answered(unharmed: ServerProcess) -> None:
    body = json.dumps({"instances": [ROW] * 1000}).encode()
    wish = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
    with connect(unharmed) as connection:
        for _ in range(3):
            ask(connection, POST + wish + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        ask(connection)


def test_longest_idle_makes_room(published: Path, tmp_path: Path) -> None:
    with (
        ServerProcess(published, "--max-connections", "30", logs=tmp_path / "log") as running,
        ExitStack() as stack,
    ):
        oldest, kept = (stack.enter_context(connect(running)) for _ in range(2))
        began = ask(oldest)
        wait_until(lambda: ask(kept) > began, what="the server's clock goes on")
        for _ in range(29):
            ask(stack.enter_context(connect(running)))
        assert oldest.recv(1) == b""
        ask(kept)
        assert running.request(QUERY)[0] == 200
        assert running.metric(OPEN) <= 30


def test_burst_of_connections_takes_no_more_than_there_are(published: Path, tmp_path: Path) -> None:
    with (
        ServerProcess(published, "--max-connections", "50", logs=tmp_path / "log") as running,
        ExitStack() as stack,
    ):
        burst = [stack.enter_context(connect(running)) for _ in range(300)]
        assert running.request(QUERY)[0] == 200
        assert running.metric(OPEN) <= 50
        open_files = psutil.Process(running.process.pid).num_fds()
        assert open_files < 200
        for connection in burst:
            connection.close()
        running.wait_for_metric(OPEN, 1)


def test_thousand_idle_connections_change_no_answer(unharmed: ServerProcess) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    try:
        with ExitStack() as stack:
            idle = [stack.enter_context(connect(unharmed)) for _ in range(1000)]
            wanted = unharmed.request(QUERY)[2]
            unharmed.wait_for_metric(OPEN, 1001)
            with closing(unharmed.connect()) as connection:
                for _ in range(300):
                    connection.request("GET", QUERY)
                    assert connection.getresponse().read() == wanted
            for each in idle:
                ask(each)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET ",
        GET[:-2],
        GET,
        POST + b"Content-Length: 1000\r\n\r\nabc",
        POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        POST + b"Content-Length: 52\r\n\r\n" + b'{"instances": [%b]}' % json.dumps({"a": "x" * 26}).encode(),
        GET * 200,
        b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20,
    ],
)
@pytest.mark.parametrize("reset", [False, True])
def test_clients_that_hang_up(unharmed: ServerProcess, sent: bytes, reset: bool) -> None:
    for _ in range(20):
        with connect(unharmed) as connection:
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.sendall(sent)


def test_client_that_sends_no_more_gets_its_answer(unharmed: ServerProcess) -> None:
    body = json.dumps({"instances": [ROW] * 1000}).encode()
    with connect(unharmed) as connection:
        connection.sendall(GET + POST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        connection.shutdown(socket.SHUT_WR)
        told = read_replies(read(connection))
    assert [each.code for each in told] == [200, 200]
    assert told[1].headers["connection"] == "close"


# Of each, some servers see two requests where others see one.
SMUGGLED = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "headers, body",
    [
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5", b"0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 0", b""),
        (b"Content-Length: 5\r\nContent-Length: 0", b"0\r\n\r\n"),
        (b"Content-Length: 0\r\nContent-Length: 0", b""),
        (b"Content-Length: 0, 0", b""),
        (b"Content-Length: +0", b""),
        (b"Content-Length: -1", b""),
        (b"Content-Length: 0x0", b""),
        (b"Content-Length:", b""),
        (b"Content-Length: 0 0", b""),
        (b"Content-Length : 0", b""),
        (b"Content\x00-Length: 0", b""),
        (b"Transfer-Encoding: xchunked", b"0\r\n\r\n"),
        (b"Transfer-Encoding: chunked, identity", b"0\r\n\r\n"),
        (b"Transfer-Encoding: identity, chunked", b"0\r\n\r\n"),
        (b"Transfer-Encoding: identity", b"0\r\n\r\n"),
        (b"Transfer-Encoding: gzip", b""),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", b"0\r\n\r\n"),
        (b"Transfer-Encoding: chunked;a=b", b"0\r\n\r\n"),
        (b"Transfer-Encoding: 'chunked'", b"0\r\n\r\n"),
        (b"Transfer-Encoding: \x0bchunked", b"0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\x0c", b"0\r\n\r\n"),
        (b"Transfer-Encoding : chunked", b"0\r\n\r\n"),
        (b" Transfer-Encoding: chunked", b"0\r\n\r\n"),
        (b"X: y\r\n Transfer-Encoding: chunked", b"0\r\n\r\n"),
        (b"X: y\nTransfer-Encoding: chunked", b"0\r\n\r\n"),
        (b"X: y\rTransfer-Encoding: chunked", b"0\r\n\r\n"),
        (b"Transfer-Encoding: chunked", b"0\n\n"),
        (b"Transfer-Encoding: chunked", b"1\r\nx0\r\n\r\n"),
        (b"Transfer-Encoding: chunked", b"1\r\nxyz0\r\n\r\n"),
        (b"Transfer-Encoding: chunked", b"00000000000000000x\r\n\r\n"),
        (b"Transfer-Encoding: chunked", b"-0\r\n\r\n"),
        (b"Transfer-Encoding: chunked", b"0 \r\n\r\n"),
        (b"Transfer-Encoding: chunked", b"0;\n\r\n\r\n"),
        (b"Transfer-Encoding: chunked", b"0\r\nContent-Length: 5\r\n\r\n"),
        (b"Transfer-Encoding: chunked", b"0\r\n X: y\r\n\r\n"),
        (b"Host: y", b""),
    ],
)
def test_what_may_be_two_requests_is_none(unharmed: ServerProcess, headers: bytes, body: bytes) -> None:
    with connect(unharmed) as connection:
        connection.sendall(POST + headers + b"\r\n\r\n" + body + SMUGGLED)
        told = read_replies(read(connection))
    assert [each.code for each in told] in ([400], [501])
    assert told[0].headers["connection"] == "close"


@pytest.mark.parametrize(
    "request_bytes",
    [
        GET.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n"),
        GET.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\n" + b"X: x\r\n" * 40_000),
        GET.replace(b"?", b"?" + b"x" * 100_000),
        GET.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\n" + b"x" * 400_000),
    ],
)
def test_head_that_is_too_long_is_refused(unharmed: ServerProcess, request_bytes: bytes) -> None:
    with connect(unharmed) as connection:
        connection.sendall(request_bytes)
        assert [each.code for each in read_replies(read(connection))] == [431]


@pytest.mark.parametrize("header", [b"Content-Length: 50000000", b"Transfer-Encoding: chunked"])
def test_client_that_sends_far_too_much_reads_why(unharmed: ServerProcess, header: bytes) -> None:
    chunk = b"%x\r\n%b\r\n" % (1_000_000, bytes(1_000_000))
    for _ in range(5):
        with connect(unharmed) as connection:
            connection.sendall(POST + header + b"\r\n\r\n")
            for _ in range(50):
                connection.sendall(chunk)  # the server takes it all, or this fails
            (told,) = read_replies(read(connection))
        assert told.code == 413
        assert b"--max-body-bytes" in told.body


def test_get_with_a_body_is_one_request(unharmed: ServerProcess) -> None:
    with connect(unharmed) as connection:
        connection.sendall(GET[:-2] + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(SMUGGLED) + SMUGGLED)
        assert [each.code for each in read_replies(read(connection))] == [200]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def contexts(certificate: tuple[Path, Path]) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the server's and the client's."""
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(*certificate)
    return ours, ssl.create_default_context(cafile=str(certificate[0]))


def test_https(published: Path, certificate: tuple[Path, Path], tmp_path: Path) -> None:
    options = ["--tls-cert", str(certificate[0]), "--tls-key", str(certificate[1]), "--max-body-bytes", "100000"]
    context = contexts(certificate)[1]
    body = json.dumps({"instances": [ROW] * 1000}).encode()
    post = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with ServerProcess(published, *options, logs=tmp_path / "log") as running:

        def secure() -> ssl.SSLSocket:
            return context.wrap_socket(connect(running), server_hostname="127.0.0.1")

        with secure() as connection:
            for _ in range(200):
                ask(connection)
            ask(connection, post)
            connection.sendall(GET + post + GET.replace(b"Host", b"Connection: close\r\nHost"))
            assert [each.code for each in read_replies(read(connection))] == [200] * 3
        with secure() as connection:
            connection.sendall(POST + b"Content-Length: 5000000\r\n\r\n" + bytes(5_000_000))
            response = http.client.HTTPResponse(connection)
            response.begin()
            assert (response.status, b"--max-body-bytes" in response.read()) == (413, True)
        with connect(running) as plain, suppress(OSError):
            plain.sendall(GET)
            assert b"HTTP" not in read(plain)
        with secure() as connection:
            ask(connection)
    assert "Traceback" not in running.log


@pytest.mark.parametrize("tls", [False, True])
def test_client_that_does_not_read_is_dropped_and_keeps_nobody_waiting(
    certificate: tuple[Path, Path], tls: bool
) -> None:
    ours, theirs = contexts(certificate)
    body = bytes(20_000_000)
    small = Recorder(answer=lambda request: reply(200, body) if request.path == "/large" else echo(request))
    with (
        listening(
            small, Limits(body_bytes=1000, buffered_bytes=10_000, unread_s=1), tls=ours if tls else None
        ) as running,
        ExitStack() as stack,
    ):

        def open_one(receive_bytes: int | None = None) -> socket.socket:
            plain = running.connect(receive_bytes)
            return stack.enter_context(theirs.wrap_socket(plain, server_hostname="127.0.0.1") if tls else plain)

        slow, other = open_one(4096), open_one()
        wait_until(lambda: running.traffic.connections == 2, what="both are open")
        slow.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
        before = psutil.Process().memory_info().rss
        while running.traffic.connections == 2:
            ask(other, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert psutil.Process().memory_info().rss < before + 200_000_000  # not 50 answers
        # What TLS has not encrypted yet is not counted at once.
        assert [request.path for request in small.asked].count("/large") <= 1 + tls


def test_handshake_that_never_comes_is_dropped(certificate: tuple[Path, Path]) -> None:
    limits = Limits(body_bytes=1000, buffered_bytes=10_000, head_s=1)
    with listening(Recorder(), limits, tls=contexts(certificate)[0]) as running, running.connect() as silent:
        silent.sendall(b"\x16\x03")
        with suppress(ConnectionResetError):
            assert silent.recv(1) == b""


def test_times_run_on_real_sockets() -> None:
    limits = Limits(body_bytes=1000, buffered_bytes=10_000, head_s=1, stall_s=1, idle_s=1, linger_s=1)

    def told(running: Listening, sent: bytes) -> list[int]:
        with running.connect() as connection:
            connection.sendall(sent)
            return [each.code for each in read_replies(read(connection))]

    with listening(Recorder(), limits) as running:
        assert told(running, b"") == []
        assert told(running, b"GET / HTTP/1.1\r\nHost") == [408]
        assert told(running, POST + b"Content-Length: 5\r\n\r\nabc") == [408]
        assert told(running, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == [200]
        wait_until(lambda: running.traffic.connections == 0, what="all are gone")
        assert running.traffic.buffered_bytes == 0
    assert running.cut == 0


def test_port_where_another_listens_is_told() -> None:
    async def listen(bound: socket.socket) -> None:
        await Listener(Recorder(), LIMITS, Traffic()).open(bound)

    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # then both may be bound
        first.bind(("127.0.0.1", 0))
        second.bind(first.getsockname())
        first.listen()
        with pytest.raises(OSError, match="in use"):
            uvloop.run(listen(second))
