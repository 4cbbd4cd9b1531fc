"""What an HDFS's superuser does, as the user who runs the tests."""

from __future__ import annotations

import getpass
import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import services.hadoop
from services.hadoop.configuration import read_property
from services.toolchain import fetch_jars, java_home
from tests.support.hadoop import Hadoop

_TIMEOUT_S = 60
_POM = Path(services.hadoop.__file__).with_name("pom.xml")
# No proxy: the cluster is near, whatever the environment says about the world outside.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def path_of(hadoop: Hadoop, url: str) -> str:
    """Return the path of a URL in this file system."""
    return url.removeprefix(hadoop.url)


def set_permission(hadoop: Hadoop, url: str, permission: str) -> None:
    """Change who may do what with a file or directory; ``permission`` is octal."""
    _web(hadoop, "PUT", url, op="SETPERMISSION", permission=permission)


def make_directory(hadoop: Hadoop, url: str, permission: str) -> None:
    """Make a directory and its parents; ``permission`` is octal."""
    _web(hadoop, "PUT", url, op="MKDIRS")
    set_permission(hadoop, url, permission)


@contextmanager
def space_quota(hadoop: Hadoop, url: str, size_bytes: int) -> Iterator[None]:
    """Limit what may be stored below a directory, replicas counted, for as long as the block runs."""
    _web(hadoop, "PUT", url, op="SETQUOTA", storagespacequota=str(size_bytes))
    try:
        yield
    finally:
        _web(hadoop, "PUT", url, op="SETQUOTA", storagespacequota="-1")


@contextmanager
def safe_mode(hadoop: Hadoop) -> Iterator[None]:
    """Keep the NameNode read-only for as long as the block runs."""
    _dfsadmin(hadoop, "-safemode", "enter")
    try:
        yield
    finally:
        _dfsadmin(hadoop, "-safemode", "leave")


def replicas(hadoop: Hadoop, url: str) -> list[Path]:
    """Return the files on the DataNodes' disks that hold a stored file of one block, one a DataNode."""
    assert hadoop.cluster
    found = _web(hadoop, "GET", url, op="GET_BLOCK_LOCATIONS")["LocatedBlocks"]["locatedBlocks"]
    (block,) = found
    name = f"blk_{block['block']['blockId']}"
    return sorted((hadoop.cluster.directory / "data").glob(f"datanode-*/current/*/current/finalized/**/{name}"))


def _web(hadoop: Hadoop, method: str, url: str, **query: str) -> Any:
    address = read_property(hadoop.conf_dir / "hdfs-site.xml", "dfs.namenode.http-address")
    query["user.name"] = getpass.getuser()
    path = urllib.parse.quote(path_of(hadoop, url))
    where = f"http://{address}/webhdfs/v1{path}?{urllib.parse.urlencode(query)}"
    request = urllib.request.Request(where, method=method)
    with _OPENER.open(request, timeout=_TIMEOUT_S) as response:
        return json.loads(response.read() or b"{}")


def _dfsadmin(hadoop: Hadoop, *arguments: str) -> None:
    """Run Hadoop's own tool."""
    classes = f"{hadoop.conf_dir}:{fetch_jars(_POM, 'hadoop')}/*"
    command = [str(java_home() / "bin" / "java"), "-cp", classes, "org.apache.hadoop.hdfs.tools.DFSAdmin", *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=_TIMEOUT_S)
