"""The services that other tests stand on: real daemons, killed and started again."""

from __future__ import annotations

import pytest

from services.hadoop.probes import WebHdfs
from tests.support.hadoop import Hadoop
from tests.support.waiting import wait_until

pytestmark = pytest.mark.hadoop


def reads(web: WebHdfs, path: str, content: bytes) -> bool:
    """Whether a file reads as this; False where the NameNode still sends readers to a DataNode that is gone."""
    try:
        return web.read(path) == content
    except OSError:
        return False


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
    assert web.read(path) == b"kept"
    with hdfs.without(second):
        wait_until(lambda: reads(web, path, b"kept"), what="the first DataNode alone gives the file")
