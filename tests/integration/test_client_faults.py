"""The client against a server that is busy, broken, slow or gone: real sockets, each fault on demand."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from engine.errors import (
    BadSettings,
    DeadlineExceeded,
    EngineBug,
    ForetableError,
    InvalidInput,
    NotFound,
    Unavailable,
)
from foretable.client import AsyncClient, Client
from online.client.settings import ClientSettings
from online.client.transport import Transport
from tests.support.scripted_server import RESET, Asked, Reply, ScriptedServer, predictions
from tests.support.waiting import wait_until

NOW = {"Retry-After": "0"}
ROWS = [{"x": float(number)} for number in range(10)]


def busy(status: int, headers: dict[str, str] = NOW) -> Reply:
    return Reply(status, {"error": "all places are taken"}, headers)


def first(*replies: Reply) -> Callable[[Asked, int], Reply]:
    """A script that gives these first, and answers from then on."""
    return lambda asked, number: replies[number] if number < len(replies) else predictions(asked)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_tries_again_when_the_server_says_not_now(status: int) -> None:
    with ScriptedServer(first(busy(status), busy(status))) as server, Client(server.url, "m") as client:
        assert client.predict(ROWS).values["y"].tolist() == [row["x"] for row in ROWS]
        assert len(server.asked) == 3
        assert len({asked.headers["x-request-id"] for asked in server.asked}) == 1
        assert len({asked.body for asked in server.asked}) == 1


def test_tries_again_when_the_connection_is_reset() -> None:
    with ScriptedServer(first(RESET, RESET)) as server, Client(server.url, "m") as client:
        assert len(client.predict(ROWS)) == 10
        assert len(server.asked) == 3


def pauses_of(server: ScriptedServer, **settings: Any) -> tuple[list[float], ForetableError | None]:
    """Send one request with a wait that only notes how long it would have been."""
    pauses: list[float] = []

    async def note(seconds: float) -> None:
        pauses.append(seconds)

    async def ask() -> ForetableError | None:
        transport = Transport(ClientSettings(server.url, "m", **settings), wait=note)
        try:
            await transport.send(transport.request("POST", ":predict", content=b'{"instances": [{"x": 1}]}'))
        except ForetableError as error:
            return error
        finally:
            await transport.close()
        return None

    return pauses, asyncio.run(ask())


def test_retry_after_is_respected_in_seconds_and_as_a_date() -> None:
    past = "Wed, 21 Oct 2015 07:28:00 GMT"
    script = first(busy(503, {"Retry-After": "7"}), busy(429, {"Retry-After": past}))
    with ScriptedServer(script) as server:
        pauses, error = pauses_of(server)
    assert error is None
    assert 7 <= pauses[0] <= 7 * 1.25
    assert pauses[1] == 0


def test_back_off_grows_and_ends() -> None:
    with ScriptedServer(lambda *_: busy(503, {})) as server:
        pauses, error = pauses_of(server, retries=3)
    assert [pause <= 0.1 * 2**number for number, pause in enumerate(pauses)] == [True] * 3
    assert len(server.asked) == 4
    assert isinstance(error, Unavailable)
    assert "all places are taken" in str(error)
    assert "after 4 tries" in str(error)
    assert server.asked[0].headers["x-request-id"] in str(error)


def test_a_wait_longer_than_the_limit_is_not_begun() -> None:
    with ScriptedServer(lambda *_: busy(503, {"Retry-After": "3600"})) as server:
        pauses, error = pauses_of(server, give_up_s=60)
    assert pauses == []
    assert "which asks to wait 3600 s" in str(error)


@pytest.mark.parametrize(
    "status, kind",
    [
        (400, InvalidInput),
        (413, InvalidInput),
        (401, BadSettings),
        (404, NotFound),
        (500, EngineBug),
        (302, BadSettings),
    ],
)
def test_what_is_refused_is_not_tried_again(status: int, kind: type[ForetableError]) -> None:
    reply = Reply(status, {"error": "feature 'x' must be a number"}, {"Location": "/elsewhere"})
    with ScriptedServer(lambda *_: reply) as server, Client(server.url, "m", batch_rows=10) as client:
        with pytest.raises(kind, match="feature 'x' must be a number") as raised:
            client.predict(ROWS, headers={"X-Request-Id": "mine"})
        assert "request mine" in str(raised.value)
        assert len(server.asked) == 1
        assert ("Lower batch_rows, now 10" in str(raised.value)) == (status == 413)


def answered(predictions: object, release: str = "1", source: str = "model") -> Reply:
    return Reply(200, {"predictions": predictions}, {"Foretable-Release": release, "Foretable-Source": source})


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"<html>not here</html>", {"Foretable-Release": "1"}),
        Reply(200, [1], {"Foretable-Release": "1"}),
        Reply(304),
        answered(7),
        answered([]),
        answered([{"y": 0.5}]),
        answered([{"y": 0.5}] * 3),
        answered([{"y": 0.5}, {"z": 0.5}]),
        answered([{"y": [0.5]}, {"y": [0.5, 0.5]}]),
        answered([{"y": "high"}] * 2),
        answered([{"y": 0.5}] * 2, source="model=x"),
        answered([{"y": 0.5}] * 2, release="²"),
        answered([{"y": 0.5}] * 2, release="9" * 30),
        answered([{"y": 0.5}] * 2, release="9" * 5000),
    ],
)
def test_what_is_no_answer_is_not_taken_for_one(reply: Reply) -> None:
    with ScriptedServer(lambda *_: reply) as server, Client(server.url, "m", body="json") as client:
        with pytest.raises(BadSettings, match=r"must be.* a Foretable server"):
            client.predict(ROWS[:2])
        assert len(server.asked) == 1


@pytest.mark.parametrize("content", [b"", b"junk", {"predictions": [1, 2]}])
def test_what_is_no_arrow_stream(content: object) -> None:
    reply = Reply(200, content, {"Foretable-Release": "1"})
    with (
        ScriptedServer(lambda *_: reply) as server,
        Client(server.url, "m", body="arrow") as client,
        pytest.raises(BadSettings, match=r"POST .*must be answered as a Foretable server does; got 200 with "),
    ):
        client.predict(ROWS)


@pytest.mark.parametrize("reply", [Reply(304), Reply(200, [1]), Reply(200, {"outputs": [1]}), Reply(200, b"<html>")])
def test_what_is_no_answer_to_one_row(reply: Reply) -> None:
    with (
        ScriptedServer(lambda *_: reply) as server,
        Client(server.url, "m") as client,
        pytest.raises(BadSettings, match=r"GET http://[^?]*m:predict must be answered as a Foretable server does"),
    ):
        client.predict_row(ROWS[0])


def test_an_error_says_which_rows() -> None:
    def script(asked: Asked, number: int) -> Reply:
        return Reply(400, {"error": "row 1: bad"}) if asked.rows[0]["x"] == 6 else predictions(asked)

    with (
        ScriptedServer(script) as server,
        Client(server.url, "m", batch_rows=3) as client,
        pytest.raises(InvalidInput, match="rows 6 to 8: row 1: bad"),
    ):
        client.predict(ROWS)


def test_a_server_that_is_gone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    got = r"must be answered; got ConnectError: .* after 2 tries"
    with Client(f"http://127.0.0.1:{port}", "m", retries=1) as client, pytest.raises(Unavailable, match=got):
        client.predict_row({"x": 1})


def test_a_server_that_never_answers() -> None:
    # The backlog takes connections, and nobody reads them.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Client(url, "m", retries=1, timeout_s=0.05) as client, pytest.raises(Unavailable, match="after 2 tries"):
            client.predict(ROWS)


def test_an_answer_that_comes_in_drops_is_cut_off() -> None:
    done = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        with connection, contextlib.suppress(OSError):  # the client hangs up
            while not done.wait(0.005):
                connection.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=lambda: drip(listener.accept()[0]))
        accepting.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with Client(url, "m", retries=0, timeout_s=0.2) as client, pytest.raises(Unavailable, match="in time"):
            client.predict_row({"x": 1})
        done.set()
        accepting.join()


def test_the_deadline_is_one_instant_for_all_tries() -> None:
    with ScriptedServer(first(busy(503), busy(504))) as server, Client(server.url, "m", deadline_s=60) as client:
        before = time.time()
        client.predict(ROWS)
        sent = {asked.headers["foretable-deadline"] for asked in server.asked}
    assert len(server.asked) == 3
    (deadline,) = sent
    assert before + 60 - 0.001 <= int(deadline) / 1000 <= time.time() + 60


def test_no_try_begins_after_the_deadline() -> None:
    with ScriptedServer(lambda *_: busy(503, {"Retry-After": "5"})) as server:
        with Client(server.url, "m", deadline_s=2) as client, pytest.raises(DeadlineExceeded, match="its deadline"):
            client.predict(ROWS)
        assert len(server.asked) == 1


def test_concurrency_is_bounded_and_used() -> None:
    together = threading.Barrier(3)

    def script(asked: Asked, number: int) -> Reply:
        if number < 9:  # nine requests come three by three, or the barrier breaks
            together.wait(timeout=30)
        return predictions(asked)

    rows = [{"x": float(number)} for number in range(100)]
    with ScriptedServer(script) as server, Client(server.url, "m", concurrency=3, batch_rows=10) as client:
        answers = client.predict(rows)
        assert server.most_at_once == 3
        assert len(server.asked) == 10
    assert answers.values["y"].tolist() == [row["x"] for row in rows]


def test_input_is_read_only_as_far_as_it_is_sent() -> None:
    read = 0
    hold = threading.Event()

    def rows() -> Iterator[dict[str, float]]:
        nonlocal read
        for number in range(1000):
            read += 1
            yield {"x": float(number)}

    def script(asked: Asked, number: int) -> Reply:
        hold.wait(timeout=30)
        return predictions(asked)

    with ScriptedServer(script) as server, Client(server.url, "m", concurrency=2, batch_rows=10) as client:
        found: list[int] = []
        reader = threading.Thread(target=lambda: found.extend(len(part) for part in client.predict_iter(rows())))
        reader.start()
        wait_until(lambda: server.most_at_once == 2 and read >= 40, what="the window is full")
        assert read <= 50
        hold.set()
        reader.join()
        assert found == [10] * 100
        assert server.most_at_once == 2


def test_the_first_failure_ends_all() -> None:
    hold = threading.Event()

    def script(asked: Asked, number: int) -> Reply:
        if asked.rows[0]["x"] == 0:
            return Reply(400, {"error": "bad"})
        hold.wait(timeout=30)
        return predictions(asked)

    with ScriptedServer(script) as server, Client(server.url, "m", concurrency=2, batch_rows=1) as client:
        with pytest.raises(InvalidInput, match="bad"):
            client.predict(ROWS)
        assert len(server.asked) < len(ROWS)
        hold.set()


def test_releases_that_change_meanwhile_are_told_or_settled() -> None:
    def script(asked: Asked, number: int) -> Reply:
        return predictions(asked, release=1 if number < 2 else 2)

    with ScriptedServer(script) as server, Client(server.url, "m", concurrency=1, batch_rows=3) as client:
        assert client.predict(ROWS).releases.tolist() == [1] * 6 + [2] * 4
    with ScriptedServer(script) as server, Client(server.url, "m", concurrency=1, batch_rows=3) as client:
        settled = client.predict(ROWS, same_release=True)
        assert settled.releases.tolist() == [2] * 10
        assert settled.values["y"].tolist() == [row["x"] for row in ROWS]
        assert len(server.asked) == 6


def test_releases_that_never_agree() -> None:
    with (
        ScriptedServer(lambda asked, number: predictions(asked, release=number)) as server,
        Client(server.url, "m", retries=1, batch_rows=3, concurrency=1) as client,
        pytest.raises(Unavailable, match="one release must answer all rows"),
    ):
        client.predict(ROWS, same_release=True)


def test_entity_tags_are_used_again() -> None:
    body = {"model": "m", "release": 3, "source": "table", "outputs": {"y": 0.1, "z": [1.0, 2.0]}}

    def script(asked: Asked, number: int) -> Reply:
        if asked.headers.get("if-none-match") == '"3-t"':
            return Reply(304, b"", {"ETag": '"3-t"'})
        return Reply(200, body, {"ETag": '"3-t"'})

    with ScriptedServer(script) as server, Client(server.url, "m", label="canary") as client:
        one, again = (client.predict_row({"x": "å b", "n": 7.0}) for _ in range(2))
        assert [asked.path for asked in server.asked] == ["/v1/models/m/labels/canary:predict?x=%C3%A5+b&n=7"] * 2
        assert ["if-none-match" in asked.headers for asked in server.asked] == [False, True]
    assert (one.source, one.release, one.outputs["y"]) == (again.source, again.release, again.outputs["y"])
    assert again.outputs["z"].tolist() == [1.0, 2.0]


def test_the_only_output_has_its_name() -> None:
    def script(asked: Asked, number: int) -> Reply:
        if asked.path == "/v1/models/m/metadata":
            return Reply(200, {"foretable": {"outputs": [{"name": "y"}]}})
        headers = {"Foretable-Release": "1", "Foretable-Source": "table"}
        return Reply(200, {"predictions": [row["x"] for row in asked.rows]}, headers)

    with ScriptedServer(script) as server, Client(server.url, "m") as client:
        for _ in range(2):
            assert client.predict(ROWS).values["y"].tolist() == [row["x"] for row in ROWS]
        assert [asked.path for asked in server.asked].count("/v1/models/m/metadata") == 1


def test_headers_of_the_caller_and_the_token() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with ScriptedServer(first()) as server:
        with Client(server.url, "m", token="secret-of-the-test", headers={"X-Team": "a"}) as client:
            client.predict(ROWS, headers={"traceparent": trace})
            assert "secret" not in repr(client)
        (asked,) = server.asked
    assert asked.headers["authorization"] == "Bearer secret-of-the-test"
    assert (asked.headers["traceparent"], asked.headers["x-team"]) == (trace, "a")


def test_many_tasks_of_one_loop() -> None:
    async def main(url: str) -> list[list[float]]:
        async with AsyncClient(url, "m", concurrency=2) as client:
            found = await asyncio.gather(*(client.predict([{"x": float(number)}]) for number in range(6)))
            return [part.values["y"].tolist() for part in found]

    with ScriptedServer(first(busy(503))) as server:
        assert asyncio.run(main(server.url)) == [[float(number)] for number in range(6)]
        assert server.most_at_once <= 2


def test_a_client_that_is_closed() -> None:
    client = Client("http://127.0.0.1:1", "m")
    client.close()
    client.close()
    with pytest.raises(BadSettings, match="must be open"):
        client.predict_row({"x": 1})
