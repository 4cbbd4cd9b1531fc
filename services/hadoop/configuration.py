"""The configuration files that daemons and clients share: one directory, which clients get as HADOOP_CONF_DIR."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

from services.ports import HOST

DATANODES = 2
# Every port that a daemon opens: a default would belong to whoever came first.
PORTS = (
    "namenode-rpc",
    "namenode-http",
    *(f"datanode-{number}-{kind}" for number in range(1, DATANODES + 1) for kind in ("data", "http", "ipc")),
    *(f"resourcemanager-{kind}" for kind in ("rpc", "scheduler", "tracker", "admin", "http")),
    *(f"nodemanager-{kind}" for kind in ("rpc", "localizer", "http")),
)

Properties = Mapping[str, str | int]


def write_configuration(directory: Path, *, data: Path, ports: Mapping[str, int]) -> None:
    """Write all files.

    Args:
        directory: where to; made where missing.
        data: an absolute directory for what the daemons store.
        ports: by the names in ``PORTS``.
    """
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory / "core-site.xml", core_site(data, ports))
    _write(directory / "hdfs-site.xml", hdfs_site(data, ports))
    _write(directory / "yarn-site.xml", yarn_site(data, ports))
    _write(directory / "capacity-scheduler.xml", capacity_scheduler())


def read_property(file: Path, name: str) -> str | None:
    """Return one property of a Hadoop configuration file, or None where it is not set."""
    for found in ET.parse(file).getroot().iter("property"):  # noqa: S314 - the user's own configuration
        if found.findtext("name") == name:
            return found.findtext("value")
    return None


def core_site(data: Path, ports: Mapping[str, int]) -> Properties:
    """Properties of every client and daemon."""
    return {
        "fs.defaultFS": f"hdfs://{HOST}:{ports['namenode-rpc']}",
        "hadoop.tmp.dir": str(data / "tmp"),
        # No user is in a group: who may do what does not depend on the machine's accounts, and no shell is asked.
        "hadoop.security.group.mapping": "org.apache.hadoop.security.NullGroupsMapping",
        # A client waits through the restart of a NameNode, and not for minutes on one that is gone for good.
        "ipc.client.connect.timeout": 5_000,
        "ipc.client.connect.max.retries.on.timeouts": 3,
    }


def hdfs_site(data: Path, ports: Mapping[str, int]) -> Properties:
    """Properties of HDFS. What differs between the DataNodes is on their command lines: ``datanode_options``."""
    return {
        "dfs.namenode.http-address": f"{HOST}:{ports['namenode-http']}",
        "dfs.namenode.name.dir": (data / "name").as_uri(),
        "dfs.replication": DATANODES,
        # One DataNode may be down: a writer goes on with the other instead of asking for a third that is not there.
        "dfs.client.block.write.replace-datanode-on-failure.enable": "false",
        "dfs.permissions.enabled": "true",
        # The default keeps a restarted NameNode read-only for 30 s after it has seen all blocks.
        "dfs.namenode.safemode.extension": 0,
        # All blocks: of 1,000 or fewer, the default's 99.9 % may leave out one, and its file could not be read yet.
        "dfs.namenode.safemode.threshold-pct": "1.0",
        # A DataNode that is silent for 3 s is asked last, and one that is silent for 2 x 500 ms + 10 x 1 s counts as
        # dead (default: 10.5 minutes). Shorter, and a machine that stalls loses healthy nodes.
        "dfs.heartbeat.interval": 1,
        "dfs.namenode.heartbeat.recheck-interval": 500,
        "dfs.namenode.stale.datanode.interval": 3_000,
        "dfs.namenode.avoid.read.stale.datanode": "true",
        "dfs.namenode.avoid.write.stale.datanode": "true",
        # Lost replicas are made again at once (default: every 3 s).
        "dfs.namenode.redundancy.interval.seconds": 1,
        # A client gives up on a frozen DataNode after 10 s (default: 60 s and 8 minutes).
        "dfs.client.socket-timeout": 10_000,
        "dfs.datanode.socket.write.timeout": 10_000,
        # A test may want a file of many blocks without many bytes (default: 1 MiB).
        "dfs.namenode.fs-limits.min-block-size": 4_096,
        # The default stops all writes when the disk has less than 100 MiB left.
        "dfs.namenode.resource.du.reserved": 1_048_576,
        # The daemons connect by addresses; a machine without reverse names would refuse its own DataNodes.
        "dfs.namenode.datanode.registration.ip-hostname-check": "false",
    }


def datanode_options(number: int, *, data: Path, ports: Mapping[str, int]) -> list[str]:
    """Return what only the DataNode of this number is told, counted from 1."""
    addresses = {"": "data", ".http": "http", ".ipc": "ipc"}
    options = {
        f"dfs.datanode{kind}.address": f"{HOST}:{ports[f'datanode-{number}-{port}']}"
        for kind, port in addresses.items()
    }
    options["dfs.datanode.data.dir"] = (data / f"datanode-{number}").as_uri()
    return [part for name, value in options.items() for part in ("-D", f"{name}={value}")]


def yarn_site(data: Path, ports: Mapping[str, int]) -> Properties:
    """Properties of YARN: one node that declares enough for an application and a few small executors."""

    def address(name: str) -> str:
        return f"{HOST}:{ports[name]}"

    return {
        "yarn.resourcemanager.hostname": HOST,
        "yarn.resourcemanager.address": address("resourcemanager-rpc"),
        "yarn.resourcemanager.scheduler.address": address("resourcemanager-scheduler"),
        "yarn.resourcemanager.resource-tracker.address": address("resourcemanager-tracker"),
        "yarn.resourcemanager.admin.address": address("resourcemanager-admin"),
        "yarn.resourcemanager.webapp.address": address("resourcemanager-http"),
        "yarn.resourcemanager.nodemanagers.heartbeat-interval-ms": 100,
        "yarn.resourcemanager.connect.max-wait.ms": 30_000,
        "yarn.resourcemanager.connect.retry-interval.ms": 500,
        "yarn.scheduler.minimum-allocation-mb": 256,
        "yarn.scheduler.maximum-allocation-mb": 8_192,
        "yarn.nodemanager.address": address("nodemanager-rpc"),
        "yarn.nodemanager.localizer.address": address("nodemanager-localizer"),
        "yarn.nodemanager.webapp.address": address("nodemanager-http"),
        "yarn.nodemanager.local-dirs": str(data / "containers"),
        # Absolute, else a container ends with 'Stdout path must be absolute'.
        "yarn.nodemanager.log-dirs": str(data / "container-logs"),
        # Declared and not measured: containers of tests are small, and idle most of the time.
        "yarn.nodemanager.resource.memory-mb": 8_192,
        "yarn.nodemanager.resource.cpu-vcores": 8,
        # Python beside a JVM maps much more than it uses.
        "yarn.nodemanager.vmem-check-enabled": "false",
        # The default takes the node away from a laptop whose disk is 90 % full.
        "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "99.0",
        # How long a container may take to end, by itself and then by force. A stopping node waits for both, and more.
        "yarn.nodemanager.sleep-delay-before-sigkill.ms": 100,
        "yarn.nodemanager.process-kill-wait.ms": 1_000,
    }


def capacity_scheduler() -> Properties:
    """Return properties of the one queue. YARN does not start without them."""
    return {
        "yarn.scheduler.capacity.root.queues": "default",
        "yarn.scheduler.capacity.root.default.capacity": 100,
        # One application may take the queue, and its master counts as any container (default: a tenth).
        "yarn.scheduler.capacity.maximum-am-resource-percent": "1.0",
        # There is one node: waiting for a better one is lost time.
        "yarn.scheduler.capacity.node-locality-delay": -1,
    }


def _write(file: Path, properties: Properties) -> None:
    root = ET.Element("configuration")
    for name, value in properties.items():
        entry = ET.SubElement(root, "property")
        ET.SubElement(entry, "name").text = name
        ET.SubElement(entry, "value").text = str(value)
    ET.indent(root)
    partial = file.with_name(f".{file.name}.partial")  # a client may be reading the file
    ET.ElementTree(root).write(partial, encoding="utf-8", xml_declaration=True)
    partial.replace(file)
