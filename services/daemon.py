"""A daemon: a program with a log of its own and a probe that says when it is ready."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from services.errors import DaemonFailed
from services.process import GRACE_S, ProcessIdentity

_POLL_S = 0.1
_LOG_TAIL_LINES = 30
_LOG_TAIL_BYTES = 16_384


@dataclass(frozen=True, kw_only=True)
class Program:
    """What a daemon runs.

    Attributes:
        name: what messages call it.
        command: the program and its arguments.
        environment: all of its environment.
        log: the file that its output is appended to.
        probe: returns None when the daemon does its work, else what it still waits for. May raise OSError or
            ValueError where the daemon does not answer yet. Must return within seconds.
        ready_timeout_s: how long it may take to get ready.
        grace_s: how long it may take to end when asked to, before it is killed.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    probe: Callable[[], str | None]
    ready_timeout_s: float = 120.0
    grace_s: float = GRACE_S


class Daemon:
    """One program, started and stopped any number of times. It leads a process group of its own."""

    def __init__(self, program: Program, *, leashed: bool, identity: ProcessIdentity | None = None) -> None:
        """Keep what to run.

        Args:
            program: what to run.
            leashed: end it when this process ends, even when killed (on Linux, and where the main thread starts it);
                else it stays.
            identity: the process that runs it already.
        """
        self.program = program
        self._leashed = leashed
        self.identity = identity
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.program.name

    @property
    def running(self) -> bool:
        """Whether its process is there, ready or not."""
        if self._process is not None and self._process.poll() is not None:
            return False
        return self.identity is not None and self.identity.alive

    def launch(self) -> None:
        """Start the process, unless it runs. Does not wait: ``wait_ready`` does."""
        if self.running:
            return
        command = (*_leash(), *self.program.command) if self._leashed else self.program.command
        self.program.log.parent.mkdir(parents=True, exist_ok=True)
        with self.program.log.open("ab") as log:
            # Its own session: a Ctrl-C at the terminal reaches who started it, not the daemon.
            self._process = subprocess.Popen(
                command,
                env=dict(self.program.environment),
                cwd=self.program.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.identity = ProcessIdentity.of(self._process.pid)

    def wait_ready(self) -> None:
        """Return as soon as the probe is content.

        Raises:
            DaemonFailed: the process ended, or was not ready in time; the message holds the end of its log.
        """
        deadline = time.monotonic() + self.program.ready_timeout_s
        while True:
            waiting = self._probe()
            if not self.running:
                code = self._process.returncode if self._process else None
                raise self._failed("must keep running; it ended" + (f" with status {code}" if code is not None else ""))
            if waiting is None:
                return
            if time.monotonic() > deadline:
                late = f"must be ready within {self.program.ready_timeout_s:g} s; {waiting}"
                raise self._failed(late)
            time.sleep(_POLL_S)

    def start(self) -> None:
        """Start the process, unless it runs, and wait until it is ready. Raises DaemonFailed."""
        self.launch()
        self.wait_ready()

    def stop(self) -> None:
        """Ask the process to end; kill it where it does not. Returns when it is gone."""
        if self.identity is not None:
            self.identity.end(grace_s=self.program.grace_s)
        self._forget()

    def kill(self) -> None:
        """Kill the process, unannounced, as a crash would. Returns when it is gone."""
        if self.identity is not None:
            self.identity.kill()
        self._forget()

    def restart(self) -> None:
        """Stop the process where it runs, start it, and wait until it is ready. Raises DaemonFailed."""
        self.stop()
        self.start()

    def log_tail(self) -> str:
        """Return the last lines of the log."""
        if not self.program.log.is_file():
            return ""
        with self.program.log.open("rb") as log:
            log.seek(max(0, self.program.log.stat().st_size - _LOG_TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_TAIL_LINES:])

    def _probe(self) -> str | None:
        try:
            return self.program.probe()
        except (OSError, ValueError) as error:
            return f"it does not answer yet ({error})"

    def _failed(self, what: str) -> DaemonFailed:
        return DaemonFailed(f"{self.name}: {what}. Its log {self.program.log} ends with:\n{self.log_tail()}")

    def _forget(self) -> None:
        if self._process is not None:
            self._process.wait()
            self._process = None
        self.identity = None


def _leash() -> tuple[str, ...]:
    """Return a prefix under which the kernel ends the program when this process ends."""
    # The kernel's word for it is the end of the starting *thread*: one that a test starts must not take it along.
    if threading.current_thread() is not threading.main_thread():
        return ()
    setpriv = shutil.which("setpriv")  # util-linux
    return (setpriv, "--pdeathsig", "TERM") if setpriv else ()


def clean_environment(**added: str) -> dict[str, str]:
    """Return this process's environment for a daemon, without what would change who it is.

    A ``HADOOP_USER_NAME`` meant for a client would make another user the superuser of a file system started with it.
    """
    hidden = ("HADOOP_", "HDFS_", "YARN_", "SPARK_", "PYSPARK_", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return {**kept, **added}
