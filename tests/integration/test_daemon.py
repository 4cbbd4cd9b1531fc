"""Daemons, processes and ports, with small programs in place of the services."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.daemon import Daemon, Program
from services.errors import DaemonFailed
from services.ports import HOST, highest_port, reserve_ports
from services.process import ProcessIdentity
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
WORKS = "import signal; print('works', flush=True); signal.pause()"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WORKS
ENDS = "print('no such disk'); raise SystemExit(3)"


class Daemons:
    """Makes daemons that are ready when their log says so; kills what a test leaves."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.made: list[Daemon] = []

    def __call__(self, code: str, *, grace_s: float = 30, ready_timeout_s: float = 30) -> Daemon:
        log = self.directory / "logs" / "a.log"
        program = Program(
            name="a",
            command=(sys.executable, "-c", code),
            environment=dict(os.environ),
            log=log,
            probe=lambda: None if "works" in log.read_text() else "it must say that it works",
            ready_timeout_s=ready_timeout_s,
            grace_s=grace_s,
        )
        self.made.append(Daemon(program, leashed=True))
        return self.made[-1]


@pytest.fixture
def daemon_of(tmp_path: Path) -> Iterator[Daemons]:
    daemons = Daemons(tmp_path)
    yield daemons
    for daemon in daemons.made:
        daemon.kill()


def test_starts_once_and_stops(daemon_of: Daemons) -> None:
    daemon = daemon_of(WORKS)
    assert not daemon.running
    daemon.start()
    identity = daemon.identity
    daemon.start()
    assert daemon.running
    assert daemon.identity == identity
    daemon.stop()
    assert not daemon.running
    assert identity
    assert not identity.alive
    daemon.stop()


def test_restart_is_another_process(daemon_of: Daemons) -> None:
    daemon = daemon_of(WORKS)
    daemon.start()
    before = daemon.identity
    daemon.kill()
    daemon.restart()
    assert daemon.running
    assert daemon.identity != before
    wait_until(lambda: daemon.log_tail() == "works\nworks", what="the log holds both")


def test_one_that_ends_shows_its_status_and_log(daemon_of: Daemons) -> None:
    with pytest.raises(DaemonFailed, match=r"a: must keep running; it ended with status 3\. [^\n]+:\nno such disk$"):
        daemon_of(ENDS).start()


def test_one_that_is_late_shows_what_it_waits_for(daemon_of: Daemons) -> None:
    daemon = daemon_of("import signal; signal.pause()", ready_timeout_s=0)
    with pytest.raises(DaemonFailed, match="a: must be ready within 0 s; it must say that it works"):
        daemon.start()


def test_one_that_does_not_listen_is_killed(daemon_of: Daemons) -> None:
    daemon = daemon_of(DEAF, grace_s=0)
    daemon.start()
    daemon.stop()
    assert not daemon.running


def test_a_crash_is_seen(daemon_of: Daemons) -> None:
    daemon = daemon_of(WORKS)
    daemon.start()
    assert daemon.identity
    os.kill(daemon.identity.pid, signal.SIGKILL)
    wait_until(lambda: not daemon.running, what="the daemon counts as ended")


def test_another_program_can_stop_it(daemon_of: Daemons) -> None:
    daemon = daemon_of(WORKS)
    daemon.start()
    adopted = Daemon(daemon.program, leashed=False, identity=daemon.identity)
    adopted.start()
    assert adopted.running
    adopted.stop()
    assert not daemon.running


@pytest.mark.skipif(not shutil.which("setpriv"), reason="the leash is util-linux's setpriv")
def test_a_leashed_one_ends_with_its_owner_even_when_that_is_killed(tmp_path: Path) -> None:
    owner = f"""
import signal, sys
from pathlib import Path
from services.daemon import Daemon, Program, clean_environment
log = Path({str(tmp_path / "log")!r})
program = Program(name="a", command=(sys.executable, "-c", {WORKS!r}), environment=clean_environment(), log=log,
                  probe=lambda: None if "works" in log.read_text() else "silent")
daemon = Daemon(program, leashed=True)
daemon.start()
print(daemon.identity.pid, daemon.identity.started_s, flush=True)
signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", owner], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            pid, started_s = process.stdout.readline().split()
        finally:
            process.kill()
    identity = ProcessIdentity(int(pid), float(started_s))
    wait_until(lambda: not identity.alive, what="the daemon has ended with its owner")


def test_one_that_a_thread_starts_outlives_the_thread(daemon_of: Daemons) -> None:
    daemon = daemon_of(WORKS)
    thread = threading.Thread(target=daemon.start)
    thread.start()
    thread.join()
    assert daemon.running
    daemon.stop()
    assert "works" in daemon.log_tail()


def test_an_id_that_was_used_again_is_no_process_of_ours() -> None:
    now = ProcessIdentity.of(os.getpid())
    assert now.alive
    earlier = ProcessIdentity(now.pid, now.started_s - 60)
    assert not earlier.alive
    earlier.kill()
    earlier.end(grace_s=0)


def test_a_process_that_ended_has_no_identity() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    with pytest.raises(ProcessLookupError, match=f"process {process.pid} has ended"):
        ProcessIdentity.of(process.pid)


def test_ports_are_distinct_free_and_below_the_kernels() -> None:
    ports = reserve_ports(str(number) for number in range(50))
    assert len(set(ports.values())) == 50
    assert max(ports.values()) <= highest_port()
    for port in ports.values():
        with socket.socket() as server:
            server.bind((HOST, port))


def test_ports_that_others_are_about_to_bind_are_left_to_them() -> None:
    avoided = range(10_000, highest_port() - 5_000)
    ports = reserve_ports((str(number) for number in range(50)), avoided=avoided)
    assert set(ports.values()).isdisjoint(avoided)


def test_a_port_is_kept_where_it_is_free() -> None:
    (port,) = reserve_ports(["a"]).values()
    assert reserve_ports(["a"], {"a": port}) == {"a": port}
    with socket.socket() as server:
        server.bind((HOST, port))
        server.listen()
        assert reserve_ports(["a"], {"a": port})["a"] != port
