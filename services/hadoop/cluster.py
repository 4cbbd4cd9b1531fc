"""One Hadoop cluster on this machine: its directory, its ports, its daemons."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from services.command import run_to_end
from services.daemon import Daemon, Program, clean_environment
from services.errors import DaemonFailed
from services.hadoop.configuration import (
    DATANODES,
    PORTS,
    datanode_options,
    write_configuration,
)
from services.hadoop.probes import WebHdfs, datanode_waits_for, namenode_waits_for, yarn_waits_for
from services.ports import HOST, reserve_ports
from services.process import ProcessIdentity
from services.toolchain import fetch_jars, java_home

_HERE = Path(__file__).resolve().parent
_NAMENODE = "org.apache.hadoop.hdfs.server.namenode.NameNode"
_DATANODE = "org.apache.hadoop.hdfs.server.datanode.DataNode"
_RESOURCEMANAGER = "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager"
_NODEMANAGER = "org.apache.hadoop.yarn.server.nodemanager.NodeManager"
_FORMAT_TIMEOUT_S = 120
_PROBE = "/tmp/.services-probe"  # noqa: S108 - in HDFS


class HadoopCluster:
    """HDFS, and YARN on top where it is started. The user who starts it is HDFS's superuser; permissions are on.

    Attributes:
        url: of the file system, ``hdfs://127.0.0.1:PORT``.
        conf_dir: what clients take as ``HADOOP_CONF_DIR``.
        ports: by name; a restart keeps them.
        namenode, datanodes, resourcemanager, nodemanager: the daemons, running or not.
    """

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
            ports: all ports of an earlier time; kept where they are free.
            processes: daemons of this directory that may be running on those ports, by name.

        Raises:
            MissingTool: no Java, or no Maven where the jars must be fetched.
            FetchFailed: Maven failed.
        """
        self.directory = directory.resolve()
        self.conf_dir = self.directory / "conf"
        self.java_home = java_home()
        self._jars = fetch_jars(_HERE / "pom.xml", "hadoop")
        self._data = self.directory / "data"
        known = {name: process for name, process in (processes or {}).items() if process.alive}
        # While any daemon runs, the others know its ports, and nobody can have taken theirs from it.
        self.ports = dict(ports or {}) if known else reserve_ports(PORTS, ports)
        self.url = f"hdfs://{HOST}:{self.ports['namenode-rpc']}"
        write_configuration(self.conf_dir, data=self._data, ports=self.ports)

        def daemon(name: str, main: str, probe: Callable[[], str | None], options: Iterable[str] = ()) -> Daemon:
            program = Program(
                name=name,
                command=(*self._java(main), *options),
                environment=self._daemon_environment,
                log=self.directory / "logs" / f"{name}.log",
                probe=probe,
            )
            return Daemon(program, leashed=leashed, identity=known.get(name))

        self.namenode = daemon("namenode", _NAMENODE, self._namenode_waits_for)
        self.datanodes = [
            daemon(
                f"datanode-{number}",
                _DATANODE,
                partial(datanode_waits_for, self._address(f"datanode-{number}-http")),
                datanode_options(number, data=self._data, ports=self.ports),
            )
            for number in range(1, DATANODES + 1)
        ]
        self.resourcemanager = daemon("resourcemanager", _RESOURCEMANAGER, self._yarn_waits_for)
        self.nodemanager = daemon("nodemanager", _NODEMANAGER, self._yarn_waits_for)

    @property
    def environment(self) -> dict[str, str]:
        """What a client's process needs: where the configuration is, and Java."""
        return {
            "HADOOP_CONF_DIR": str(self.conf_dir),
            "YARN_CONF_DIR": str(self.conf_dir),
            "JAVA_HOME": str(self.java_home),
        }

    @property
    def namenode_url(self) -> str:
        """Where HDFS's pages are."""
        return f"http://{self._address('namenode-http')}"

    @property
    def resourcemanager_url(self) -> str:
        """Where YARN's REST interface and pages are."""
        return f"http://{self._address('resourcemanager-http')}"

    @property
    def web(self) -> WebHdfs:
        """HDFS over HTTP."""
        return WebHdfs(self._address("namenode-http"))

    @property
    def hdfs_daemons(self) -> list[Daemon]:
        """The daemons of HDFS, in the order in which they start."""
        return [self.namenode, *self.datanodes]

    @property
    def yarn_daemons(self) -> list[Daemon]:
        """The daemons of YARN, in the order in which they start."""
        return [self.resourcemanager, self.nodemanager]

    @property
    def daemons(self) -> list[Daemon]:
        """All daemons, running or not."""
        return [*self.hdfs_daemons, *self.yarn_daemons]

    def launch(self, *, yarn: bool, launched: Callable[[], object] = lambda: None) -> None:
        """Start what is not running; ``wait_ready`` waits for it.

        Args:
            yarn: YARN too, not HDFS alone.
            launched: called after each daemon's start, to keep its process in mind.

        Raises:
            DaemonFailed: the new file system could not be formatted.
        """
        self._format()
        for daemon in self.daemons if yarn else self.hdfs_daemons:  # at once: they wait for each other by themselves
            daemon.launch()
            launched()

    def wait_ready(self, *, yarn: bool) -> None:
        """Return when HDFS has its DataNodes and gives back what is written, and YARN has its node.

        Raises:
            DaemonFailed: it did not come to that.
        """
        for daemon in self.daemons if yarn else self.hdfs_daemons:
            daemon.wait_ready()

    def start(self, *, yarn: bool) -> None:
        """Start what is not running, and wait until it is ready. Raises DaemonFailed."""
        self.launch(yarn=yarn)
        self.wait_ready(yarn=yarn)

    def stop(self) -> None:
        """Stop all daemons, users before what they use. Data stays."""
        for daemon in reversed(self.daemons):
            daemon.stop()

    def wipe(self) -> None:
        """Remove what the stopped daemons stored. Logs stay."""
        shutil.rmtree(self._data, ignore_errors=True)

    @property
    def _daemon_environment(self) -> dict[str, str]:
        return clean_environment(**self.environment)

    def _address(self, port: str) -> str:
        return f"{HOST}:{self.ports[port]}"

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

    def _java(self, main: str) -> list[str]:
        logs = self.directory / "logs"
        return [
            str(self.java_home / "bin" / "java"),
            # Enough for some 100,000 files; each daemon takes 170-250 MB in all.
            "-Xmx512m",
            # Quick to start and few threads: the daemons of a test are idle most of the time.
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            # YARN's web services reflect on the JDK.
            "--add-opens=java.base/java.lang=ALL-UNNAMED",
            f"-Dlog4j.configuration={(_HERE / 'log4j.properties').as_uri()}",
            f"-Dhadoop.log.dir={logs}",
            f"-Dyarn.log.dir={logs}",
            "-cp",
            f"{self.conf_dir}:{self._jars}/*",
            main,
        ]

    def _format(self) -> None:
        """Make an empty file system where there is none."""
        if (self._data / "name" / "current" / "VERSION").is_file():
            return
        command = [*self._java(_NAMENODE), "-format", "-force", "-nonInteractive"]
        done = run_to_end(command, self._daemon_environment, timeout_s=_FORMAT_TIMEOUT_S)
        if done.returncode != 0:
            message = (
                f"{self.directory}: a new file system must be formatted; it ended with {done.returncode}. "
                f"See its output:\n{done.stdout[-4000:]}"
            )
            raise DaemonFailed(message)
