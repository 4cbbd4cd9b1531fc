"""The real program, real HTTP."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil
import pytest

from engine.registry import Registry
from tests.support.certificate import make_certificate
from tests.support.serving import ServerProcess
from tests.support.synthetic import FINITE_NAME, NUMBERS_NAME, numbers_rows, publish_synthetic
from tests.support.waiting import wait_until

PREDICT = f"/v1/models/{FINITE_NAME}:predict"
ROW = {"city": "São Paulo", "plan": "pro", "age": 33, "size": "2"}
MISS = {**ROW, "plan": "unheard of"}


@pytest.fixture(scope="module")
def server(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that tests only ask."""
    logs = tmp_path_factory.mktemp("logs") / "server"
    with ServerProcess(published, "--max-body-bytes", "100000", logs=logs) as running:
        yield running
        assert "Traceback" not in running.log


def query(row: dict[str, Any]) -> str:
    return f"{PREDICT}?{urlencode(row)}"


def raw(server: ServerProcess, request: bytes, *, hang_up: bool = False) -> bytes:
    """Send bytes as they are; return all that comes back before the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(request)
        if hang_up:
            with contextlib.suppress(OSError):  # the server has hung up already
                connection.shutdown(socket.SHUT_WR)
        received = b""
        while data := connection.recv(65536):
            received += data
        return received


def test_announces_what_it_serves_and_where(server: ServerProcess) -> None:
    assert server.announcement == f"serving numbers release 1, synthetic release 1 on http://127.0.0.1:{server.port}"
    assert server.log.count("settings: ") == 1


def test_answers_by_every_way(server: ServerProcess) -> None:
    status, headers, body = server.request(query(ROW))
    assert (status, headers["content-type"], headers["cache-control"]) == (200, "application/json", "max-age=60")
    outputs = json.loads(body)["outputs"]
    assert json.loads(body)["source"] == "table"
    assert server.request(query(ROW), **{"If-None-Match": headers["etag"]})[::2] == (304, b"")
    assert json.loads(server.request(query(MISS))[2])["source"] == "model"
    status, headers, body = server.request(PREDICT, {"instances": [ROW, MISS]})
    assert json.loads(body)["predictions"][0] == outputs
    assert (headers["foretable-source"], headers["foretable-release"]) == ("table=1, model=1", "1")
    body = server.request(PREDICT, {"inputs": {name: [value] for name, value in ROW.items()}})[2]
    assert json.loads(body)["outputs"] == {name: [value] for name, value in outputs.items()}
    rows = {"instances": numbers_rows(40)}
    assert server.request(f"/v1/models/{NUMBERS_NAME}:predict", rows)[1]["foretable-source"] == "model"
    assert b"<form" in server.request("/")[2]


@pytest.mark.parametrize(
    "path, body, headers, status",
    [
        (query({**ROW, "city": "Atlantis"}), None, {}, 400),
        (query({"city": "Zürich"}), None, {}, 400),
        (query({**ROW, "extra": 1}), None, {}, 400),
        (f"{query(ROW)}&size=2", None, {}, 400),
        (f"{query(ROW)}&x=%FF", None, {}, 400),
        (PREDICT, b"", {}, 400),
        (PREDICT, b"{", {}, 400),
        (PREDICT, {"instances": [{**ROW, "age": float("nan")}]}, {}, 400),
        (PREDICT, {"instances": [{**ROW, "age": "young"}]}, {}, 400),
        (PREDICT, b"[" * 90_000, {}, 400),
        (PREDICT, {"instances": [ROW]}, {"Content-Type": "image/png"}, 415),
        (PREDICT, b" " * 10_000_000, {}, 413),
        ("/v1/models/nobody:predict?a=1", None, {}, 404),
        ("/v1/models/../../etc/passwd", None, {}, 404),
        ("/livez", b"x", {}, 405),
    ],
)
def test_bad_requests(server: ServerProcess, path: str, body: object, headers: dict[str, str], status: int) -> None:
    try:
        found, found_headers, text = server.request(path, body, **headers)
    except (BrokenPipeError, ConnectionResetError):
        assert status == 413  # refused while the body was still on its way
    else:
        assert found == status, text
        assert found_headers["cache-control"] == "no-store"
        assert list(json.loads(text)) == ["error"]
    assert server.request(query(ROW))[0] == 200


def test_chunked_body_past_the_limit(server: ServerProcess) -> None:
    chunk = b"2710\r\n" + b" " * 10_000 + b"\r\n"
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode()
    assert raw(server, head + chunk * 11 + b"0\r\n\r\n").startswith(b"HTTP/1.1 413 ")


def test_what_is_no_http(server: ServerProcess) -> None:
    assert not raw(server, b"\x16\x03\x01 hello\r\n\r\n", hang_up=True).startswith(b"HTTP/1.1 2")
    cut = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n".encode() + b'{"instances": ['
    assert not raw(server, cut, hang_up=True).startswith(b"HTTP/1.1 2")
    assert server.request(query(ROW))[0] == 200


def test_stalled_bodies_take_no_place(published: Path, tmp_path: Path) -> None:
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n".encode() + b'{"instances": ['
    with ServerProcess(published, "--max-concurrent", "1", logs=tmp_path / "log") as running:
        stalled = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(50)]
        for connection in stalled:
            connection.sendall(head)
        running.wait_for_metric("foretable_buffered_body_bytes", 50 * 15)
        assert running.request(query(ROW))[0] == running.request(query(MISS))[0] == 200
        assert running.request(PREDICT, {"instances": [ROW] * 1000})[0] == 200
        for connection in stalled:
            connection.close()
        running.wait_for_metric("foretable_buffered_body_bytes", 0)
        assert running.metric("foretable_sheds_total") == 0


@pytest.mark.parametrize(
    "headers",
    [
        b"X-Long: " + b"x" * 200_000 + b"\r\n",
        b"".join(b"X-%d: x\r\n" % number for number in range(5_000)),
        b"X-Request-Id: \x00\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Foretable-Deadline: \xff\r\n",
        b"Expect: nonsense\r\n",
    ],
)
def test_headers_that_no_client_should_send(server: ServerProcess, headers: bytes) -> None:
    for method, path in ((b"GET", query(MISS)), (b"POST", PREDICT)):
        request = method + b" " + path.encode() + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + b"\r\n"
        try:
            reply = raw(server, request, hang_up=True)
        except OSError:  # it closed before all was sent
            reply = b""
        assert not reply.startswith(b"HTTP/1.1 5"), reply
    assert server.request(query(ROW))[0] == 200
    assert server.metric("foretable_requests_under_way") == 0


def test_release_changes_while_requests_run(registry: Path, tmp_path: Path) -> None:
    failures: list[object] = []
    seen: set[tuple[int, str]] = set()
    stop = threading.Event()

    def ask(row: dict[str, Any]) -> None:
        with closing(running.connect()) as connection:
            while not stop.is_set():
                try:
                    connection.request("GET", query(row))
                    response = connection.getresponse()
                    answer = json.loads(response.read())
                except (OSError, http.client.HTTPException) as error:
                    failures.append(error)
                    return
                if response.status != 200:
                    failures.append(answer)
                seen.add((answer["release"], json.dumps([row["plan"], answer["outputs"]])))

    with ServerProcess(registry, "--poll-s", "0.05", logs=tmp_path / "log") as running:
        clients = [threading.Thread(target=ask, args=(row,)) for row in (ROW, MISS, ROW)]
        for client in clients:
            client.start()
        release = 'foretable_release{label="production",model="synthetic"}'
        publish_synthetic(str(registry), "uint8")
        running.wait_for_metric(release, 2)
        label = Registry(str(registry)).model(FINITE_NAME).label()
        label.move(1, after=label.head(), reason="back")
        running.wait_for_metric(release, 1)
        stop.set()
        for client in clients:
            client.join()
        assert running.metric('foretable_release_swaps_total{label="production",model="synthetic"}') == 2
    assert failures == []
    # Each release gives one answer a row: float32 and uint8 tell them apart.
    assert len(seen) == 4
    assert {release for release, _ in seen} == {1, 2}


def test_broken_release_is_refused_and_reported(registry: Path, tmp_path: Path) -> None:
    with ServerProcess(registry, "--poll-s", "0.05", logs=tmp_path / "log") as running:
        before = running.request(query(ROW))
        label = Registry(str(registry)).model(FINITE_NAME).label()
        label.move(7, after=label.head(), reason="a release that is not there")
        running.wait_for_metric('foretable_label_failing{label="production",model="synthetic"}', 1)
        assert running.metric('foretable_load_failures_total{label="production",model="synthetic"}') >= 1
        assert "release 1 stays: release of 'synthetic' must be one of 1; got 7" in running.log
        assert running.request(query(ROW))[0] == before[0] == 200
        assert b'"problem"' in running.request("/readyz")[2]


def test_corrupt_block_is_answered_by_the_model_and_counted(registry: Path, tmp_path: Path) -> None:
    folder = registry / FINITE_NAME / "tables"
    (shard,) = folder.glob("*/shard-000000.dense")
    data = bytearray(shard.read_bytes())
    data[64 + 5] ^= 1  # the first row, after the header
    shard.write_bytes(data)
    row = {"city": "Zürich", "plan": "basic", "age": 0, "size": "1"}
    with ServerProcess(registry, logs=tmp_path / "log") as running:
        answer = json.loads(running.request(query(row))[2])
        assert answer["source"] == "model"
        assert running.metric('foretable_table_corrupt_blocks{label="production",model="synthetic"}') == 1
        assert "is corrupt; its 5461 rows are not answered from it" in running.log
        assert json.loads(running.request(query({**row, "city": "city 23"}))[2])["source"] == "table"


def test_sigterm_drains_and_ends_with_0(published: Path, tmp_path: Path) -> None:
    with ServerProcess(published, logs=tmp_path / "log") as running:
        connection = running.connect()
        body = json.dumps({"instances": [ROW] * 20_000})
        connection.request("POST", PREDICT, body)
        time.sleep(0.05)  # the request is under way; a drain that is too early fails the test, never passes it
        running.process.send_signal(signal.SIGTERM)
        response = connection.getresponse()
        assert response.status == 200
        assert len(json.loads(response.read())["predictions"]) == 20_000
        connection.close()
        assert running.process.wait(timeout=60) == 0
        assert "Traceback" not in running.log
    with pytest.raises(ConnectionRefusedError):
        running.request("/livez")


@pytest.fixture
def team(registry: Path, tmp_path: Path) -> Iterator[ServerProcess]:
    """Two workers, over a registry of one's own."""
    with ServerProcess(registry, "--workers", "2", "--poll-s", "0.05", logs=tmp_path / "log") as running:
        yield running


def test_workers_share_the_port_the_table_and_the_counts(team: ServerProcess) -> None:
    assert team.announcement.endswith("by 2 workers")
    maps = [Path(f"/proc/{worker}/maps").read_text() for worker in team.workers()]
    tables = [{line.split()[4] for line in text.splitlines() if line.endswith(".table")} for text in maps]
    assert tables[0] == tables[1]  # one inode
    assert len(tables[0]) == 1
    for _ in range(40):
        assert team.request(query(ROW))[0] == 200
    labels = 'code="200",method="GET",model="synthetic",source="table"'
    counted = f"foretable_requests_total{{{labels}}} 40.0"
    wait_until(lambda: counted in team.request("/metrics")[2].decode(), what="all are counted", timeout_s=30)
    assert team.metric('foretable_table_hits_total{model="synthetic"}') == 40


def test_workers_follow_labels(team: ServerProcess, registry: Path) -> None:
    publish_synthetic(str(registry), "uint8")
    for _ in range(20):  # whichever is asked
        team.wait_for_metric('foretable_release{label="production",model="synthetic"}', 2)
    assert {json.loads(team.request(query(ROW))[2])["release"] for _ in range(20)} == {2}


def test_workers_end_with_their_supervisor(team: ServerProcess) -> None:
    workers = team.workers()
    assert team.stop(signal.SIGKILL) == -signal.SIGKILL
    wait_until(lambda: not any(map(psutil.pid_exists, workers)), what="the workers are gone", timeout_s=20)


def test_workers_drain(team: ServerProcess) -> None:
    assert team.stop() == 0
    assert "Traceback" not in team.log


def test_worker_that_dies_ends_the_server(team: ServerProcess) -> None:
    os.kill(team.workers()[1], signal.SIGKILL)
    assert team.process.wait(timeout=30) == 70
    assert "worker 1 died of SIGKILL" in team.log


def test_second_signal_does_not_wait(published: Path, tmp_path: Path) -> None:
    with ServerProcess(published, logs=tmp_path / "log") as running:
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", running.port)) as stalled:
            stalled.sendall(head + b"{")
            running.wait_for_metric("foretable_buffered_body_bytes", 1)
            running.process.send_signal(signal.SIGTERM)
            wait_until(lambda: refused(running.port), what="the port is closed", timeout_s=30)
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(timeout=5) == 0
        assert "1 requests were not done" in running.log


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def test_https_with_a_token_and_a_log_for_machines(
    published: Path, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    chain, key = certificate
    tokens = tmp_path / "tokens"
    tokens.write_text("a-token-of-the-test\n")
    options = ["--tls-cert", str(chain), "--tls-key", str(key), "--token-file", str(tokens)]
    options += ["--log-format", "json", "--log-requests", "all"]
    with ServerProcess(published, *options, logs=tmp_path / "log") as running:
        assert f"on https://127.0.0.1:{running.port}" in running.announcement

        def get(path: str, **headers: str) -> int:
            context = ssl.create_default_context(cafile=str(chain))
            with closing(http.client.HTTPSConnection("127.0.0.1", running.port, context=context)) as connection:
                connection.request("GET", path, headers=headers)
                return connection.getresponse().status

        assert get("/readyz") == 200
        assert get(query(ROW)) == 401
        assert get(query(ROW), Authorization="Bearer a-token-of-the-test", **{"X-Request-Id": "mine"}) == 200
        wait_until(lambda: "mine" in running.log, what="the request is logged", timeout_s=30)
    lines = [json.loads(line) for line in running.log.splitlines() if '"request_id"' in line]
    assert ("mine", 200, "table") in [(line["request_id"], line["code"], line["source"]) for line in lines]
    assert 401 in [line["code"] for line in lines]


def test_certificate_that_is_none(published: Path, certificate: tuple[Path, Path]) -> None:
    chain, _ = certificate
    done = run("--registry", str(published), "--port", "0", "--tls-cert", str(chain), "--tls-key", str(chain))
    assert (done.returncode, "must be PEM files of one key pair" in done.stderr) == (64, True)


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "online.server", *options], capture_output=True, text=True, timeout=60, check=False
    )


def test_check_scores_a_row_of_every_model(published: Path) -> None:
    done = run("--registry", str(published), "--check")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "checked numbers release 1 (label production): a golden row is answered by the model",
        "checked synthetic release 1 (label production): a golden row is answered by the table",
    ]


@pytest.mark.parametrize("check", [["--check"], ["--port", "0"], ["--port", "0", "--workers", "2"]])
def test_damaged_bundle_ends_the_start(registry: Path, check: list[str]) -> None:
    (model,) = (registry / FINITE_NAME / "bundles").glob("*/model.float32.tflite")
    model.write_bytes(model.read_bytes()[:-1])
    done = run("--registry", str(registry), *check)
    assert done.returncode == 65
    assert done.stderr.count("foretable serve: ") == 1
    assert "model.float32.tflite: must be" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.count("serving") == 0


@pytest.mark.parametrize(
    "options, code, message",
    [
        (["--registry", "/nowhere", "--models", "nobody", "--port", "0"], 64, "model in .* must be .* got 'nobody'"),
        (["--registry", "/nowhere", "--port", "0"], 64, "must have a model; got none"),
        (["--registry", "/nowhere", "--host", "no.such.host.invalid"], 64, "--host must be an address"),
        (["--registry", "r", "--port", "x"], 64, "--port must be an integer"),
        (["--registry", "r", "--scratch", "/nowhere", "--check"], 64, "--scratch must be a directory .* '/nowhere'"),
        (["--registry", "r", "--token-file", "/nowhere", "--check"], 64, "--token-file must be a readable file"),
    ],
)
def test_bad_settings(options: list[str], code: int, message: str) -> None:
    done = run(*options)
    assert done.returncode == code
    assert re.search(f"foretable serve: .*{message}", done.stderr), done.stderr
    assert "Traceback" not in done.stderr


def test_port_that_is_taken(server: ServerProcess, published: Path) -> None:
    done = run("--registry", str(published), "--port", str(server.port))
    assert done.returncode == 75
    assert f"127.0.0.1:{server.port} must be free to bind" in done.stderr


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="the priority is Linux's")
@pytest.mark.parametrize("priority, policy", [("idle", "SCHED_IDLE"), ("normal", "SCHED_OTHER")])
def test_threads_that_infer_give_way(published: Path, tmp_path: Path, priority: str, policy: str) -> None:
    with ServerProcess(published, "--model-priority", priority, logs=tmp_path / "log") as running:
        before = {thread.id for thread in psutil.Process(running.process.pid).threads()}
        assert running.request(PREDICT, {"instances": [ROW] * 1000})[0] == 200
        begun = {thread.id for thread in psutil.Process(running.process.pid).threads()} - before
        assert {os.sched_getscheduler(thread) for thread in begun} == {getattr(os, policy)}
        assert os.sched_getscheduler(running.process.pid) == os.SCHED_OTHER  # the event loop
