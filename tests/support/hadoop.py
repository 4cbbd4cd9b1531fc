"""The Hadoop that tests run on: one of this session's own, or the one that ``SERVICES_HADOOP_CONF_DIR`` names."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.daemon import Daemon
from services.errors import FetchFailed, MissingTool
from services.hadoop.cluster import HadoopCluster
from services.hadoop.configuration import read_property
from tests.support.services import missing_service

EXTERNAL = "SERVICES_HADOOP_CONF_DIR"


@dataclass(frozen=True)
class Hadoop:
    """A running HDFS, with YARN where the fixture says so.

    Attributes:
        url: of the file system.
        conf_dir: what clients take as ``HADOOP_CONF_DIR``.
        environment: what a client's process needs.
        cluster: the daemons, or None where they are not ours.
    """

    url: str
    conf_dir: Path
    environment: dict[str, str]
    cluster: HadoopCluster | None
    _session: str = field(default_factory=lambda: secrets.token_hex(4))

    @classmethod
    def external(cls, conf_dir: Path) -> Hadoop:
        """Use a cluster that somebody else runs, by its configuration."""
        url = read_property(conf_dir / "core-site.xml", "fs.defaultFS")
        if url is None:
            message = f"{EXTERNAL}={conf_dir}: core-site.xml must set fs.defaultFS; it does not."
            raise ValueError(message)
        environment = {"HADOOP_CONF_DIR": str(conf_dir), "YARN_CONF_DIR": str(conf_dir)}
        return cls(url.rstrip("/"), conf_dir, environment, None)

    @classmethod
    def own(cls, cluster: HadoopCluster) -> Hadoop:
        """Use a cluster of this session's own."""
        return cls(cluster.url, cluster.conf_dir, cluster.environment, cluster)

    @property
    def killable(self) -> bool:
        """Whether tests may stop its daemons."""
        return self.cluster is not None

    @property
    def namenode(self) -> Daemon:
        """The NameNode; the test skips where it is not ours."""
        return self._own().namenode

    @property
    def datanodes(self) -> list[Daemon]:
        """The DataNodes; the test skips where they are not ours."""
        return self._own().datanodes

    def fresh(self, name: str) -> str:
        """Return the URL of a directory for one test, under which nothing is. The directory is not made."""
        return f"{self.url}/tmp/foretable-tests/{self._session}/{name}-{secrets.token_hex(4)}"

    @contextmanager
    def without(self, *daemons: Daemon) -> Iterator[None]:
        """Kill daemons for as long as the block runs; after it, the cluster is whole again."""
        cluster = self._own()
        service = "yarn" if cluster.nodemanager.running else "hdfs"
        try:
            for daemon in daemons:
                daemon.kill()
            yield
        finally:
            cluster.start(service)

    def _own(self) -> HadoopCluster:
        if self.cluster is None:
            pytest.skip(f"stops daemons; those of {EXTERNAL} are not ours")
        return self.cluster


@contextmanager
def running_hadoop(directory: Path) -> Iterator[Hadoop]:
    """Give a running HDFS, started in ``directory`` unless there is an external one, and stop it after.

    The test skips (in CI: fails) where Java or Maven is missing.
    """
    conf_dir = os.environ.get(EXTERNAL)
    if conf_dir:
        yield Hadoop.external(Path(conf_dir).resolve())
        return
    try:
        cluster = HadoopCluster(directory, leashed=True)
    except (MissingTool, FetchFailed) as error:
        missing_service("HDFS", str(error))
    try:
        cluster.start("hdfs")
        yield Hadoop.own(cluster)
    finally:
        cluster.stop()
        cluster.wipe()  # gigabytes at times; the logs stay
