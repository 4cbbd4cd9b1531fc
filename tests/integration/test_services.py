"""The services that other tests stand on: real daemons, killed and started again."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.errors import DaemonFailed
from services.hadoop.cluster import HadoopCluster
from services.hadoop.configuration import read_property
from services.hadoop.probes import WebHdfs
from services.ports import HOST
from tests.support.hadoop import EXTERNAL, Hadoop
from tests.support.spark_on_yarn import submit_to_yarn
from tests.support.standing import Standing, standing_services
from tests.support.waiting import wait_until

pytestmark = pytest.mark.hadoop
ROOT = Path(__file__).resolve().parents[2]
HDFS_DAEMONS = ["namenode", "datanode-1", "datanode-2"]


def reads(web: WebHdfs, path: str, content: bytes) -> bool:
    """Whether a file reads as this; False where the NameNode still sends readers to a DataNode that is gone."""
    try:
        return web.read(path) == content
    except OSError:
        return False


@pytest.fixture
def standing(tmp_path: Path, hdfs: Hadoop) -> Iterator[Standing]:
    """The command, where HDFS can run at all."""
    with standing_services(tmp_path / "services") as services:
        yield services


def test_data_survives_the_namenode_and_either_datanode(hdfs: Hadoop) -> None:
    namenode, first, second = hdfs.namenode, *hdfs.datanodes
    assert hdfs.cluster
    web = hdfs.cluster.web
    path = hdfs.fresh("survives").removeprefix(hdfs.url) + "/file"
    web.write(path, b"kept")
    with hdfs.without(first):
        wait_until(lambda: reads(web, path, b"kept"), what="the second DataNode alone gives the file")
    with hdfs.without(namenode), pytest.raises(OSError, match="refused"):
        web.read(path)
    # A DataNode that answers over HTTP finds only when it asks that its connection to the old NameNode is gone.
    wait_until(lambda: reads(web, path, b"kept"), what="the restarted NameNode gives the file")
    with hdfs.without(second):
        wait_until(lambda: reads(web, path, b"kept"), what="the first DataNode alone gives the file")


def test_restarted_datanode_is_back_at_once(hdfs: Hadoop) -> None:
    first, second = hdfs.datanodes
    first.kill()
    assert not first.running
    first.restart()
    assert hdfs.cluster
    web = hdfs.cluster.web
    path = hdfs.fresh("back").removeprefix(hdfs.url) + "/file"
    with hdfs.without(second):
        wait_until(lambda: writes(web, path), what="the restarted DataNode takes a file alone")
    wait_until(lambda: reads(web, path, b"taken"), what="both DataNodes together give the file")


def writes(web: WebHdfs, path: str) -> bool:
    """Whether a file can be written; False where the NameNode still picks a DataNode that is gone."""
    try:
        web.write(path, b"taken")
    except OSError:
        return False
    return True


def test_fresh_directories_differ(hdfs: Hadoop) -> None:
    one, other = hdfs.fresh("same"), hdfs.fresh("same")
    assert one != other
    assert one.startswith(hdfs.url + "/")


def test_python_runs_in_executors_on_yarn(yarn: Hadoop, java_home: str) -> None:
    ended = submit_to_yarn(yarn, ROOT / "tests/support/spark_squares.py", yarn.fresh("squares"))
    assert ended.out.split() == ["yarn", "332833500"], ended.err


def test_up_twice_then_down(standing: Standing) -> None:
    first = standing("up", "hdfs")
    assert first.code == 0, first.err
    conf_dir = standing.directory / "hadoop" / "conf"
    assert f"export HADOOP_CONF_DIR={conf_dir}" in first.out.splitlines()
    assert f"HDFS is {read_property(conf_dir / 'core-site.xml', 'fs.defaultFS')} " in first.out
    before = standing.processes()
    assert list(before) == HDFS_DAEMONS
    assert standing("status").out.count("running") == 3
    assert standing("env").out == "".join(line + "\n" for line in first.out.splitlines() if not line.startswith("#"))

    os.kill(before["datanode-2"].pid, signal.SIGKILL)
    wait_until(lambda: not before["datanode-2"].alive, what="the DataNode is gone")
    assert "datanode-2: ended by itself; see its log" in standing("status").out.splitlines()
    assert standing("up", "hdfs").out == first.out
    after = standing.processes()
    assert [name for name in HDFS_DAEMONS if after[name] != before[name]] == ["datanode-2"]

    down = standing("down")
    assert (down.code, down.out.splitlines()) == (0, [f"{name}: stopped" for name in reversed(HDFS_DAEMONS)])
    assert not any(process.alive for process in after.values())
    assert standing("status").out == "nothing runs\n"
    assert standing("env").code == 64
    assert (standing.directory / "hadoop" / "data").is_dir()


def test_down_never_ends_a_stranger(standing: Standing) -> None:
    standing.directory.mkdir()
    stranger = {"pid": os.getpid(), "started_s": 1_000_000_000.0}
    (standing.directory / "state.json").write_text(json.dumps({"ports": {}, "processes": {"namenode": stranger}}))
    assert standing("down").out == ""


def test_a_daemon_that_cannot_start_shows_its_log(hdfs: Hadoop, tmp_path: Path) -> None:
    cluster = HadoopCluster(tmp_path, leashed=True)
    with socket.socket() as squatter:
        squatter.bind((HOST, cluster.ports["namenode-rpc"]))
        squatter.listen()
        try:
            with pytest.raises(DaemonFailed, match=r"(?s)namenode: must keep running; .*Address already in use"):
                cluster.start("hdfs")
        finally:
            cluster.stop()


@pytest.mark.parametrize("arguments", [("sideways",), ("up", "mainframe")])
def test_bad_usage_is_said(standing: Standing, arguments: tuple[str, ...]) -> None:
    ended = standing(*arguments)
    assert (ended.code, ended.out, ended.err.count("\n")) == (64, "", 1)
    assert "hdfs, yarn" in ended.err or "'up', 'down'" in ended.err


def test_an_external_cluster_is_used_and_never_stopped(
    hdfs: Hadoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.support.hadoop import running_hadoop

    monkeypatch.setenv(EXTERNAL, str(hdfs.conf_dir))
    with running_hadoop(tmp_path) as external:
        assert (external.url, external.killable) == (hdfs.url, False)
        with pytest.raises(pytest.skip.Exception, match="not ours"):
            external.namenode.kill()
    assert not list(tmp_path.iterdir())
    assert hdfs.namenode.running or not hdfs.killable
