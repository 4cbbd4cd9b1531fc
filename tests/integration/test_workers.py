"""Several workers: their signals, their port, what they leave behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import psutil
import pytest

from tests.support.announced_process import ROOT
from tests.support.scripted_wire import Told, read_replies
from tests.support.serving import ServerProcess
from tests.support.synthetic import FINITE_NAME
from tests.support.waiting import wait_until

ROW = {"city": "São Paulo", "plan": "pro", "age": 33, "size": "2"}
BODY = json.dumps({"instances": [ROW]}).encode()
HEAD = f"POST /v1/models/{FINITE_NAME}:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()


@pytest.fixture
def team(published: Path, tmp_path: Path) -> Iterator[ServerProcess]:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    options = ["--workers", "3", "--scratch", str(scratch)]
    with ServerProcess(published, *options, logs=tmp_path / "log") as running:
        yield running
    # What a killed supervisor leaves is removed by its workers.
    wait_until(lambda: not any(scratch.iterdir()), what="nothing is left", timeout_s=30)


def begin(team: ServerProcess) -> socket.socket:
    """Send half a request; return once it is read."""
    connection = socket.create_connection(("127.0.0.1", team.port), timeout=30)
    connection.sendall(HEAD + BODY[:10])
    team.wait_for_metric("foretable_buffered_body_bytes", 10)
    return connection


def end(connection: socket.socket) -> list[Told]:
    """Send the other half; return what came."""
    connection.sendall(BODY[10:])
    received = b""
    while data := connection.recv(65536):
        received += data
    return read_replies(received)


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def ended(process: int) -> bool:
    try:
        return psutil.Process(process).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_signal_to_all_at_once_drains(team: ServerProcess) -> None:
    with begin(team) as connection:
        # As a terminal and a service manager send it: to the supervisor, which hands it on, and to every worker.
        workers = team.workers()
        for process in (team.process.pid, *workers):
            os.kill(process, signal.SIGINT)
        for worker in workers:
            os.kill(worker, signal.SIGTERM)
        wait_until(lambda: refused(team.port), what="the port is closed", timeout_s=30)
        wait_until(lambda: list(map(ended, workers)).count(True) == 2, what="the idle ones are gone", timeout_s=30)
        assert [each.code for each in end(connection)] == [200]
    assert team.process.wait(timeout=30) == 0
    assert "Traceback" not in team.log


def test_second_signal_does_not_wait(team: ServerProcess) -> None:
    with begin(team):
        team.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refused(team.port), what="the port is closed", timeout_s=30)
        team.process.send_signal(signal.SIGTERM)
        assert team.process.wait(timeout=10) == 0


def test_killed_supervisor_leaves_requests_done_and_nothing_else(team: ServerProcess) -> None:
    workers = team.workers()
    with begin(team) as connection:
        team.process.kill()
        assert [each.code for each in end(connection)] == [200]
    wait_until(lambda: not any(map(psutil.pid_exists, workers)), what="the workers are gone", timeout_s=20)


def test_counts_that_cannot_be_told_are_told_later(team: ServerProcess, tmp_path: Path) -> None:
    (folder,) = (tmp_path / "scratch").iterdir()
    obstacles = [folder / f"{number}.new" for number in range(3)]
    for each in obstacles:
        wait_until(partial(made, each), what="it stands in the way", timeout_s=30)
    lacks = "the other workers' /metrics lack what this one has counted"
    wait_until(lambda: team.log.count(lacks) == 3, what="all have told of it", timeout_s=30)
    for _ in range(10):
        assert team.request(f"/v1/models/{FINITE_NAME}:predict?{urlencode(ROW)}")[0] == 200
    for each in obstacles:
        each.rmdir()
    team.wait_for_metric('foretable_table_hits_total{model="synthetic"}', 10)
    assert team.log.count(lacks) == 3


def made(folder: Path) -> bool:
    """Make a folder, unless a file of that name is just being written."""
    with suppress(FileExistsError):
        folder.mkdir()
    return folder.is_dir()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers, children", [("1", 0), ("3", 0), ("3", 1), ("3", 2)])
def test_signal_while_it_loads_ends_it(
    published: Path, tmp_path: Path, workers: str, number: signal.Signals, children: int
) -> None:
    argv = [sys.executable, "-m", "online.server", "--registry", str(published), "--port", "0", "--workers", workers]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True) as server,
    ):
        process = psutil.Process(server.pid)
        wait_until(lambda: (tmp_path / "log").stat().st_size, what="it has read its settings", timeout_s=30)
        wait_until(lambda: len(of(process)) >= children, what="it has begun", timeout_s=30)
        begun = of(process)
        server.send_signal(number)
        code = server.wait(timeout=30)
        assert not any(child.is_running() for child in begun)
        assert server.stdout
        assert server.stdout.read() == ""
    assert code in {0, -number, 130 if number == signal.SIGINT else 0}
    assert "Traceback" not in (tmp_path / "log").read_text()


def of(process: psutil.Process) -> list[psutil.Process]:
    """Return the workers that a supervisor has started."""
    with suppress(psutil.Error):
        return [each for each in process.children() if "spawn_main" in " ".join(each.cmdline())]
    return []
