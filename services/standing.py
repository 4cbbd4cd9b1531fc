"""Services that stay up until they are told to go: one directory holds their state, configuration, logs and data."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

from services.errors import BadUsage
from services.hadoop.cluster import HadoopCluster
from services.process import GRACE_S
from services.state import State

SERVICES = ("hdfs", "yarn")


class StandingServices:
    """The services of one directory. One caller at a time: hold ``services.state.locked``."""

    def __init__(self, directory: Path) -> None:
        """Read what an earlier call left; starts nothing.

        Raises:
            DamagedState: ``state.json`` cannot be read.
        """
        self._directory = directory
        self._file = directory / "state.json"
        self._state = State.load(self._file)

    def up(self, *, yarn: bool) -> str:
        """Start what is not running, wait until it is ready, and return how to use it.

        Each process is remembered as soon as it exists: after a failure or a Ctrl-C, ``down`` finds them all.

        Raises:
            ServiceError: see ``HadoopCluster`` and its ``start``.
        """
        cluster = self._cluster()

        def remember() -> None:
            self._state.ports = cluster.ports
            self._state.processes = {daemon.name: daemon.identity for daemon in cluster.daemons if daemon.identity}
            self._state.save(self._file)

        cluster.launch(yarn=yarn, launched=remember)
        cluster.wait_ready(yarn=yarn)
        lines = [f"# HDFS is {cluster.url} and shows itself on {cluster.namenode_url}"]
        if cluster.resourcemanager.running:
            lines.append(f"# YARN shows itself on {cluster.resourcemanager_url}")
        return "\n".join([*lines, _exports(cluster)])

    def down(self, *, wipe: bool, told: Callable[[str], object]) -> None:
        """Stop everything that runs.

        Args:
            wipe: remove data, logs and configuration, too.
            told: is given a line for each daemon that was stopped.
        """
        for name, process in reversed(self._state.processes.items()):  # users before what they use
            if process.alive:
                process.end(grace_s=GRACE_S)
                told(f"{name}: stopped")
        self._state.processes = {}
        if wipe:
            self._file.unlink(missing_ok=True)
            shutil.rmtree(self._directory / "hadoop", ignore_errors=True)
        elif self._file.exists():
            self._state.save(self._file)

    def status(self) -> str:
        """Return a line for each daemon that was started and not stopped since."""
        lines = [
            f"{name}: " + (f"running, process {process.pid}" if process.alive else "ended by itself; see its log")
            for name, process in self._state.processes.items()
        ]
        return "\n".join(lines or ["nothing runs"])

    def env(self) -> str:
        """Return what a client's shell needs, as lines for ``eval``.

        Raises:
            BadUsage: nothing runs.
        """
        if not any(process.alive for process in self._state.processes.values()):
            message = f"{self._directory}: HDFS must run; nothing does. Run `python -m services up`."
            raise BadUsage(message)
        return _exports(self._cluster())

    def _cluster(self) -> HadoopCluster:
        return HadoopCluster(
            self._directory / "hadoop", leashed=False, ports=self._state.ports, processes=self._state.processes
        )


def _exports(cluster: HadoopCluster) -> str:
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in cluster.environment.items())
