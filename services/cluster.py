"""What every service here is: Java daemons that share a directory, ports, jars and a configuration."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from services.command import run_to_end
from services.daemon import Daemon, Program, clean_environment
from services.errors import DaemonFailed
from services.ports import HOST, reserve_ports
from services.process import ProcessIdentity
from services.toolchain import fetch_jars, java_home

_FORMAT_TIMEOUT_S = 120
# Quick to start and few threads: the daemons of a test are idle most of the time. A broker writes as fast with these as
# without, 1.4 million records a second, and starts half a second sooner.
_FRUGAL = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class Cluster(ABC):
    """The daemons of one directory. A subclass says which they are, and adds them in ``_set_up``.

    Attributes:
        name: of the directory and of the jars.
        pom: what Maven fetches the jars by.
        services: by the name that a user gives: the names of its daemons and of those below it, in the order of their
            start.
        port_names: every port that a daemon opens: a default would belong to whoever came first.
        directory, conf_dir, data: where all is, the configuration, and what the daemons store.
        java_home: the Java that runs the daemons.
        ports: by name; a restart keeps them.
    """

    name: ClassVar[str]
    pom: ClassVar[Path]
    services: ClassVar[Mapping[str, tuple[str, ...]]]
    port_names: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        directory: Path,
        *,
        leashed: bool,
        ports: Mapping[str, int] | None = None,
        processes: Mapping[str, ProcessIdentity] | None = None,
    ) -> None:
        """Find Java, fetch the jars where they are missing, and write the configuration. Starts nothing.

        Args:
            directory: for data, logs and configuration; made where missing. Data of an earlier time is taken up.
            leashed: the daemons end when this process ends, even when killed.
            ports: those of an earlier time, kept where they are free; of other clusters too, which are left to them.
            processes: daemons that may be running on those ports, by name; of other clusters, too.

        Raises:
            MissingTool: no Java, or no Maven where the jars must be fetched.
            FetchFailed: Maven failed.
        """
        self.directory = directory.resolve()
        self.conf_dir = self.directory / "conf"
        self.data = self.directory / "data"
        self.java_home = java_home()
        self._jars = fetch_jars(self.pom, self.name)
        self._leashed = leashed
        self._daemons: dict[str, Daemon] = {}
        self._known = {name: process for name, process in self.processes_of(processes or {}).items() if process.alive}
        mine = {name: port for name, port in (ports or {}).items() if name in self.port_names}
        others = {port for name, port in (ports or {}).items() if name not in self.port_names}
        # While any daemon runs, the others know its ports, and nobody can have taken theirs from it.
        self.ports = mine if self._known else reserve_ports(self.port_names, mine, avoided=others)
        self._set_up()

    @classmethod
    def processes_of(cls, processes: Mapping[str, ProcessIdentity]) -> dict[str, ProcessIdentity]:
        """Return those that run daemons of this kind of cluster."""
        names = {name for daemons in cls.services.values() for name in daemons}
        return {name: process for name, process in processes.items() if name in names}

    @property
    @abstractmethod
    def environment(self) -> dict[str, str]:
        """What a client's process needs."""

    @abstractmethod
    def describe(self) -> list[str]:
        """Return a line for people about each service that runs: where it is."""

    @property
    def daemons(self) -> list[Daemon]:
        """All daemons, running or not, in the order in which they start."""
        return list(self._daemons.values())

    def launch(self, service: str, *, launched: Callable[[], object] = lambda: None) -> None:
        """Start what is not running of a service and of those below it; ``wait_ready`` waits for it.

        Args:
            service: one of ``services``.
            launched: called after each daemon's start, to keep its process in mind.

        Raises:
            DaemonFailed: the directory for data could not be made ready.
        """
        self._prepare()
        for daemon in self._daemons_of(service):  # at once: they wait for each other by themselves
            daemon.launch()
            launched()

    def wait_ready(self, service: str) -> None:
        """Return when a service does its work. Raises DaemonFailed where it does not come to that."""
        for daemon in self._daemons_of(service):
            daemon.wait_ready()

    def start(self, service: str) -> None:
        """Start what is not running, and wait until it is ready. Raises DaemonFailed."""
        self.launch(service)
        self.wait_ready(service)

    def stop(self) -> None:
        """Stop all daemons, users before what they use. Data stays."""
        for daemon in reversed(self.daemons):
            daemon.stop()

    def wipe(self) -> None:
        """Remove what the stopped daemons stored. Logs stay."""
        shutil.rmtree(self.data, ignore_errors=True)

    @abstractmethod
    def _set_up(self) -> None:
        """Write the configuration, and add the daemons in the order in which they start."""

    @abstractmethod
    def _prepare(self) -> None:
        """Make ``data`` ready for a start where it is not. Daemons may be running."""

    @abstractmethod
    def _java_options(self) -> Sequence[str]:
        """Return each Java process's own options, the class path left out."""

    def _add_daemon(self, name: str, command: Sequence[str], probe: Callable[[], str | None]) -> Daemon:
        """Make a daemon, or take up the process that runs it."""
        program = Program(
            name=name,
            command=tuple(command),
            environment=self._daemon_environment,
            log=self.directory / "logs" / f"{name}.log",
            probe=probe,
        )
        self._daemons[name] = Daemon(program, leashed=self._leashed, identity=self._known.get(name))
        return self._daemons[name]

    def _java(self, main: str, *arguments: str) -> list[str]:
        """Return the command that runs a class of the jars."""
        java = str(self.java_home / "bin" / "java")
        return [java, *_FRUGAL, *self._java_options(), "-cp", f"{self.conf_dir}:{self._jars}/*", main, *arguments]

    def _format(self, command: Sequence[str]) -> None:
        done = run_to_end(command, self._daemon_environment, timeout_s=_FORMAT_TIMEOUT_S)
        if done.returncode != 0:
            message = (
                f"{self.directory}: a new directory for data must be formatted; it ended with {done.returncode}. "
                f"See its output:\n{done.stdout[-4000:]}"
            )
            raise DaemonFailed(message)

    def _daemons_of(self, service: str) -> list[Daemon]:
        return [self._daemons[name] for name in self.services[service]]

    def _address(self, port: str) -> str:
        return f"{HOST}:{self.ports[port]}"

    @property
    def _daemon_environment(self) -> dict[str, str]:
        return clean_environment(**self.environment)
