"""What every storage keeps, on a real HDFS of two DataNodes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import hdfs_native
import pytest

from engine.errors import AlreadyExists, BadSettings, Unavailable
from engine.storage import Storage, open_storage
from services.ports import reserve_ports
from tests.contract.storage_suite import BetweenProcesses, StorageContract, WithDirectories, WithRenames
from tests.support.hadoop import Hadoop
from tests.support.waiting import wait_until

BLOCK_SIZE_BYTES = 1 << 20


@pytest.mark.hadoop
class TestHdfs(BetweenProcesses, WithRenames, WithDirectories, StorageContract):
    @pytest.fixture
    def storage(self, hdfs: Hadoop) -> Storage:
        probe = open_storage(hdfs.fresh("probe"))  # a test before may have stopped a server
        wait_until(partial(created, probe, "file", b"1"), what="HDFS takes a file")
        return open_storage(f"{hdfs.fresh('storage')}/root")

    def test_the_default_file_system(self, storage: Storage, hdfs: Hadoop, monkeypatch: pytest.MonkeyPatch) -> None:
        storage.create("file", b"1")
        monkeypatch.setenv("HADOOP_CONF_DIR", str(hdfs.conf_dir))
        path = storage.url.removeprefix(hdfs.url)
        assert open_storage(f"hdfs://{path}").read("file") == b"1"
        assert open_storage("hdfs:///").read(f"{path[1:]}/file") == b"1"

    def test_a_name_service(
        self, storage: Storage, hdfs: Hadoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The NameNode that answers is found behind one that is down."""
        storage.create("file", b"1")
        (port,) = reserve_ports(["closed"]).values()
        properties = {
            "dfs.nameservices": "house",
            "dfs.ha.namenodes.house": "one,two",
            "dfs.namenode.rpc-address.house.one": f"127.0.0.1:{port}",
            "dfs.namenode.rpc-address.house.two": hdfs.url.removeprefix("hdfs://"),
        }
        lines = [
            f"<property><name>{name}</name><value>{value}</value></property>" for name, value in properties.items()
        ]
        (tmp_path / "hdfs-site.xml").write_text(f"<configuration>{''.join(lines)}</configuration>", encoding="utf-8")
        monkeypatch.setenv("HADOOP_CONF_DIR", str(tmp_path))
        again = open_storage(f"hdfs://house{storage.url.removeprefix(hdfs.url)}")
        assert again.read("file") == b"1"
        again.create("other", b"2")
        assert storage.read("other") == b"2"

    def test_an_empty_directory_takes_a_name(self, storage: Storage, hdfs: Hadoop) -> None:
        storage.create("new/1", b"1")
        native(hdfs).mkdirs(f"{path_of(storage, hdfs)}/empty")
        with pytest.raises(AlreadyExists, match="/empty exists already"):
            storage.rename_tree("new", "empty")
        with pytest.raises(AlreadyExists, match="/empty exists already"):
            storage.create("empty", b"1")
        assert [file.path for file in storage.walk(hidden=True)] == ["new/1"]

    def test_a_file_of_several_blocks(self, storage: Storage, hdfs: Hadoop) -> None:
        data = os.urandom(3 * BLOCK_SIZE_BYTES + 5)
        options = hdfs_native.WriteOptions(block_size=BLOCK_SIZE_BYTES)
        with native(hdfs).create(f"{path_of(storage, hdfs)}/file", options) as file:
            file.write(data)
        assert storage.read("file") == data
        for start in (0, BLOCK_SIZE_BYTES - 3, 3 * BLOCK_SIZE_BYTES - 3):
            assert storage.read_range("file", start, 7) == data[start : start + 7]
        with storage.open("file") as opened:
            assert opened.read() == data

    def test_a_name_that_hdfs_does_not_take(self, storage: Storage) -> None:
        with pytest.raises(BadSettings, match=r"an HDFS name must not hold a colon"):
            storage.create("12:30/file", b"1")

    def test_a_server_that_stopped_while_it_is_read(self, storage: Storage, hdfs: Hadoop) -> None:
        data = os.urandom(8 * BLOCK_SIZE_BYTES)
        options = hdfs_native.WriteOptions(block_size=BLOCK_SIZE_BYTES)
        with native(hdfs).create(f"{path_of(storage, hdfs)}/file", options) as file:
            file.write(data)
        with storage.open_input("file") as opened:
            assert opened.read(10) == data[:10]
            with hdfs.without(hdfs.datanodes[0]):
                assert opened.read() == data[10:]  # the other replica of each block answers
        wait_until(partial(created, storage, "written", data), what="a file is written")
        assert storage.read("written") == data

    def test_no_server_that_has_the_bytes(self, storage: Storage, hdfs: Hadoop) -> None:
        storage.create("file", b"1" * 1000)
        with storage.open_input("file") as opened, hdfs.without(*hdfs.datanodes):
            with pytest.raises(OSError, match="All DataNodes failed") as caught:
                opened.read()
            assert caught.value.errno  # readers tell it from damage by the number
            assert storage.size("file") == 1000
            with pytest.raises(Unavailable, match="Try again"):
                storage.read("file")
            with pytest.raises(Unavailable, match="Try again"):
                storage.create("other", b"2" * 1000)
        assert storage.walk(hidden=True) == [storage.stat("file")]
        wait_until(partial(created, storage, "other", b"2"), what="a file is written")

    def test_a_restarted_namenode(self, storage: Storage, hdfs: Hadoop) -> None:
        storage.create("file", b"1")
        with hdfs.without(hdfs.namenode), pytest.raises(Unavailable, match="Try again"):
            storage.read("file")
        wait_until(partial(created, storage, "other", b"2"), what="a file is written")
        assert storage.read("file") == b"1"

    def test_what_is_denied_is_the_deployment_s_matter(self, storage: Storage, hdfs: Hadoop) -> None:
        storage.create("a/file", b"1")
        storage.create("b/file", b"1")
        native(hdfs).set_permission(path_of(storage, hdfs), 0o700)
        code = (
            "import sys; from engine.errors import BadSettings; from engine.storage import open_storage\n"
            "s = open_storage(sys.argv[1])\n"
            "for call in (lambda: s.read('a/file'), lambda: s.size('a/file'), lambda: s.exists('a/file'),\n"
            "             lambda: s.names('a'), lambda: s.walk('a'), lambda: s.create('a/other', b''),\n"
            "             lambda: s.remove('a/file'), lambda: s.remove_tree('a'), lambda: s.rename_tree('a', 'c')):\n"
            "    try: call(); print('done')\n"
            "    except BadSettings as error: print(error)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, storage.url],
            env={**os.environ, "HADOOP_USER_NAME": "mallory"},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        )
        lines = done.stdout.splitlines()
        assert len(lines) == 9
        assert [line for line in lines if "permission denied. Grant it to the user who runs this" not in line] == []
        assert [file.path for file in storage.walk()] == ["a/file", "b/file"]


CALLS: list[Callable[[Storage], object]] = [
    lambda storage: storage.exists("a/file"),
    lambda storage: storage.walk("a"),
    lambda storage: storage.create("a/other", b""),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_namenode_that_is_down_may_be_tried_again(call: Callable[[Storage], object]) -> None:
    (port,) = reserve_ports(["closed"]).values()
    started = time.monotonic()
    with pytest.raises(Unavailable, match=r"refused.*Try again"):
        call(open_storage(f"hdfs://127.0.0.1:{port}/x"))
    assert time.monotonic() - started < 30


def test_a_namenode_that_never_answers_may_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.stores.hdfs._METADATA_TIMEOUT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts, and says nothing
        storage = open_storage(f"hdfs://127.0.0.1:{server.getsockname()[1]}/x")
        with pytest.raises(Unavailable, match=r"x/file: no answer within 0\.5 s\. Try again"):
            storage.read("file")


@pytest.mark.parametrize("url", ["hdfs://", "hdfs:///path", "hdfs://unknown/path", "hdfs://host:port/path"])
def test_a_wrong_url_says_what_is_right(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HADOOP_CONF_DIR", "HADOOP_HOME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        BadSettings, match=r"must be hdfs://host:port/path, or name a service .*HADOOP_CONF_DIR \(not set\)"
    ):
        open_storage(url)


def created(storage: Storage, path: str, data: bytes) -> bool:
    try:
        storage.create(path, data)
    except AlreadyExists:
        raise
    except Unavailable:
        return False
    return True


def native(hdfs: Hadoop) -> hdfs_native.Client:
    return hdfs_native.Client(hdfs.url)


def path_of(storage: Storage, hdfs: Hadoop) -> str:
    return storage.url.removeprefix(hdfs.url)
