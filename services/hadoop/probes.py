"""Questions to running daemons over HTTP: is HDFS writable, does YARN have a node."""

from __future__ import annotations

import getpass
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

_PROBE_TIMEOUT_S = 5.0
# A DataNode's first answer takes seconds on a busy machine: it loads its web server's classes for it.
_OPERATION_TIMEOUT_S = 60.0
_LONGEST_REASON_BYTES = 1_000
# No proxy: the daemons are on this machine, whatever the environment says about the world outside.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def namenode_waits_for(address: str, *, datanodes: int) -> str | None:
    """Return None when the NameNode takes writes and has its DataNodes, else what it waits for.

    Args:
        address: host:port of its HTTP server.
        datanodes: how many must be alive.

    Raises:
        OSError, ValueError: it does not answer, or not yet with sense.
    """
    state = _bean(address, "Hadoop:service=NameNode,name=FSNamesystemState")
    alive = state.get("NumLiveDataNodes", 0)
    if state.get("FSState") != "Operational":
        return f"it is in safe mode, with {alive} DataNodes"
    if alive < datanodes:
        return f"{datanodes} DataNodes must be alive; {alive} are"
    return None


def datanode_waits_for(address: str) -> str | None:
    """Return None when the DataNode is registered and has reported its blocks, else what it waits for. Raises the same.

    The NameNode counts a DataNode that was killed as alive for seconds: only the DataNode knows better.
    """
    info = _bean(address, "Hadoop:service=DataNode,name=DataNodeInfo")
    # A daemon leaves out what it cannot say yet.
    actors = json.loads(info.get("BPServiceActorInfo", "[]"))
    if not actors:
        return "it has no NameNode yet"
    uptime_s = time.time() - info["DNStartedTimeInMillis"] / 1000
    for actor in actors:
        if actor["ActorState"] != "RUNNING":
            return f"its link to {actor['NamenodeAddress']} must be RUNNING; it is {actor['ActorState']}"
        # Seconds since the last report; since the machine's boot where there was none.
        if int(actor["LastBlockReport"]) > uptime_s + 1:
            return f"it has not reported its blocks to {actor['NamenodeAddress']} yet"
    return None


def yarn_waits_for(address: str) -> str | None:
    """Return None when the ResourceManager has a node to run containers on, else what it waits for. Raises the same.

    Args:
        address: host:port of the ResourceManager's HTTP server.
    """
    found = _get(f"http://{address}/ws/v1/cluster/metrics")
    # Whether the answer has a root depends on the release's JSON writer.
    metrics = found.get("clusterMetrics", found)
    # Active are the registered nodes in state RUNNING.
    return None if metrics.get("activeNodes") else "a node must be RUNNING; none is"


class WebHdfs:
    """A few operations on HDFS as the user who runs this process, with nothing installed."""

    def __init__(self, address: str) -> None:
        """Keep host:port of the NameNode's HTTP server."""
        self._address = address

    def make_directory(self, path: str, permission: str) -> None:
        """Make a directory and its parents; ``permission`` is octal."""
        self._json("PUT", path, op="MKDIRS", permission=permission)
        self._json("PUT", path, op="SETPERMISSION", permission=permission)  # MKDIRS applies a umask

    def write(self, path: str, content: bytes) -> None:
        """Write a file, in place of an earlier one."""
        where = self._json("PUT", path, op="CREATE", overwrite="true", noredirect="true")["Location"]
        _ask("PUT", where, content, timeout_s=_OPERATION_TIMEOUT_S)

    def read(self, path: str) -> bytes:
        """Read a file."""
        where = self._json("GET", path, op="OPEN", noredirect="true")["Location"]
        return _ask("GET", where, timeout_s=_OPERATION_TIMEOUT_S)

    def delete(self, path: str) -> None:
        """Delete a file or a directory and all in it."""
        self._json("DELETE", path, op="DELETE", recursive="true")

    def _json(self, method: str, path: str, **query: str) -> Any:
        query["user.name"] = getpass.getuser()
        url = f"http://{self._address}/webhdfs/v1{urllib.parse.quote(path)}?{urllib.parse.urlencode(query)}"
        return json.loads(_ask(method, url, timeout_s=_OPERATION_TIMEOUT_S) or b"{}")


def _bean(address: str, name: str) -> Any:
    beans = _get(f"http://{address}/jmx?qry={urllib.parse.quote(name)}")["beans"]
    if not beans:
        message = f"{address} has no {name} yet"
        raise ValueError(message)
    return beans[0]


def _get(url: str) -> Any:
    return json.loads(_ask("GET", url, timeout_s=_PROBE_TIMEOUT_S))


def _ask(method: str, url: str, content: bytes | None = None, *, timeout_s: float) -> bytes:
    headers = {"Content-Type": "application/octet-stream", "Accept": "application/json, */*"}
    request = urllib.request.Request(url, content, headers, method=method)  # noqa: S310 - always http://
    try:
        with _OPENER.open(request, timeout=timeout_s) as response:
            body: bytes = response.read()
            return body
    except urllib.error.HTTPError as error:
        message = f"{method} {url}: HTTP {error.code}: {error.read(_LONGEST_REASON_BYTES).decode(errors='replace')}"
        raise OSError(message) from error
