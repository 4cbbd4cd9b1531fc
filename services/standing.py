"""Services that stay up until they are told to go: one directory holds their state, configuration, logs and data."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from services.cluster import Cluster
from services.errors import BadUsage
from services.hadoop.cluster import HadoopCluster
from services.kafka.cluster import KafkaCluster
from services.process import GRACE_S
from services.state import State

_CLUSTERS: tuple[type[Cluster], ...] = (HadoopCluster, KafkaCluster)
SERVICES = tuple(service for kind in _CLUSTERS for service in kind.services)


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

    def up(self, services: Sequence[str]) -> str:
        """Start what is not running, wait until it is ready, and return how to use it.

        Each process is remembered as soon as it exists: after a failure or a Ctrl-C, ``down`` finds them all.

        Args:
            services: of ``SERVICES``.

        Raises:
            ServiceError: see ``Cluster`` and its ``start``.
        """
        chosen = [self._cluster(kind) for kind in _CLUSTERS if not kind.services.keys().isdisjoint(services)]
        wanted = [(cluster, service) for cluster in chosen for service in cluster.services if service in services]
        for cluster, service in wanted:  # all at once: what takes longest is the time of all
            cluster.launch(service, launched=partial(self._remember, cluster))
        for cluster, service in wanted:
            cluster.wait_ready(service)
        return "\n".join([*(f"# {line}" for cluster in chosen for line in cluster.describe()), _exports(chosen)])

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
            for kind in _CLUSTERS:
                shutil.rmtree(self._directory / kind.name, ignore_errors=True)
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
        running = [
            kind
            for kind in _CLUSTERS
            if any(process.alive for process in kind.processes_of(self._state.processes).values())
        ]
        if not running:
            message = f"{self._directory}: a service must run; none does. Run `python -m services up`."
            raise BadUsage(message)
        return _exports(self._cluster(kind) for kind in running)

    def _cluster(self, kind: type[Cluster]) -> Cluster:
        state = self._state
        cluster = kind(self._directory / kind.name, leashed=False, ports=state.ports, processes=state.processes)
        state.ports.update(cluster.ports)  # at once: the next cluster's must be others
        return cluster

    def _remember(self, cluster: Cluster) -> None:
        self._state.processes.update({daemon.name: daemon.identity for daemon in cluster.daemons if daemon.identity})
        self._state.save(self._file)


def _exports(clusters: Iterable[Cluster]) -> str:
    environment = {name: value for cluster in clusters for name, value in cluster.environment.items()}
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in environment.items())
