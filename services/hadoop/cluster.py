"""One Hadoop cluster on this machine: HDFS, and YARN on top of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from services.cluster import Cluster
from services.daemon import Daemon
from services.hadoop.configuration import (
    DATANODES,
    PORTS,
    datanode_options,
    write_configuration,
)
from services.hadoop.probes import WebHdfs, datanode_waits_for, namenode_waits_for, yarn_waits_for
from services.ports import HOST

_HERE = Path(__file__).resolve().parent
_HDFS = ("namenode", *(f"datanode-{number}" for number in range(1, DATANODES + 1)))
_YARN = ("resourcemanager", "nodemanager")
_NAMENODE = "org.apache.hadoop.hdfs.server.namenode.NameNode"
_DATANODE = "org.apache.hadoop.hdfs.server.datanode.DataNode"
_RESOURCEMANAGER = "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager"
_NODEMANAGER = "org.apache.hadoop.yarn.server.nodemanager.NodeManager"
_PROBE = "/tmp/.services-probe"  # noqa: S108 - in HDFS


class HadoopCluster(Cluster):
    """HDFS, and YARN on top where it is started. The user who starts it is HDFS's superuser; permissions are on.

    Attributes:
        url: of the file system, ``hdfs://127.0.0.1:PORT``.
        conf_dir: what clients take as ``HADOOP_CONF_DIR``.
        namenode, datanodes, resourcemanager, nodemanager: the daemons, running or not.
    """

    name = "hadoop"
    pom = _HERE / "pom.xml"
    services = {"hdfs": _HDFS, "yarn": (*_HDFS, *_YARN)}
    port_names = PORTS

    @property
    def environment(self) -> dict[str, str]:
        """What a client's process needs: where the configuration is, and Java."""
        return {
            "HADOOP_CONF_DIR": str(self.conf_dir),
            "YARN_CONF_DIR": str(self.conf_dir),
            "JAVA_HOME": str(self.java_home),
        }

    @property
    def web(self) -> WebHdfs:
        """HDFS over HTTP."""
        return WebHdfs(self._address("namenode-http"))

    def describe(self) -> list[str]:
        """Return a line for people about each service that runs: its URL, and where its pages are."""
        lines = []
        if self.namenode.running:
            lines.append(f"HDFS is {self.url} and shows itself on http://{self._address('namenode-http')}")
        if self.resourcemanager.running:
            lines.append(f"YARN shows itself on http://{self._address('resourcemanager-http')}")
        return lines

    def _set_up(self) -> None:
        self.url = f"hdfs://{HOST}:{self.ports['namenode-rpc']}"
        write_configuration(self.conf_dir, data=self.data, ports=self.ports)
        self.namenode = self._add_daemon("namenode", self._java(_NAMENODE), self._namenode_waits_for)
        self.datanodes = [self._add_datanode(number) for number in range(1, DATANODES + 1)]
        self.resourcemanager = self._add_daemon("resourcemanager", self._java(_RESOURCEMANAGER), self._yarn_waits_for)
        self.nodemanager = self._add_daemon("nodemanager", self._java(_NODEMANAGER), self._yarn_waits_for)

    def _prepare(self) -> None:
        """Make an empty file system where there is none."""
        if not (self.data / "name" / "current" / "VERSION").is_file():
            self._format(self._java(_NAMENODE, "-format", "-force", "-nonInteractive"))

    def _java_options(self) -> list[str]:
        logs = self.directory / "logs"
        return [
            # Enough for some 100,000 files; each daemon takes 170-250 MB in all.
            "-Xmx512m",
            # YARN's web services reflect on the JDK.
            "--add-opens=java.base/java.lang=ALL-UNNAMED",
            f"-Dlog4j.configuration={(_HERE / 'log4j.properties').as_uri()}",
            f"-Dhadoop.log.dir={logs}",
            f"-Dyarn.log.dir={logs}",
        ]

    def _add_datanode(self, number: int) -> Daemon:
        options = datanode_options(number, data=self.data, ports=self.ports)
        probe = partial(datanode_waits_for, self._address(f"datanode-{number}-http"))
        return self._add_daemon(f"datanode-{number}", self._java(_DATANODE, *options), probe)

    def _namenode_waits_for(self) -> str | None:
        datanodes = sum(datanode.running for datanode in self.datanodes)
        waiting = namenode_waits_for(self._address("namenode-http"), datanodes=datanodes)
        if waiting or not datanodes:
            return waiting
        # A DataNode counts as alive before it has told how much room it has: only a file that is written proves it.
        self.web.make_directory("/tmp", "1777")  # noqa: S108 - in HDFS, as every distribution has it
        self.web.write(_PROBE, b"ready")
        self.web.read(_PROBE)
        self.web.delete(_PROBE)
        return None

    def _yarn_waits_for(self) -> str | None:
        return yarn_waits_for(self._address("resourcemanager-http"))
