"""What every storage keeps, on a disk and in memory; the services' own files have HDFS and S3."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.errors import AlreadyExists, BadSettings, NotFound, Unavailable
from engine.storage import Storage, open_storage
from tests.contract.storage_suite import BetweenProcesses, StorageContract, WithDirectories, WithRenames

NOBODY = 65534


class TestMemory(WithRenames, WithDirectories, StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        return open_storage(f"memory://test-{secrets.token_hex(8)}/root")


class TestFile(BetweenProcesses, WithRenames, WithDirectories, StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        return open_storage(f"file://{tmp_path}/root")

    def test_a_plain_path_is_a_file_url(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert open_storage("some/where").url == f"file://{tmp_path}/some/where"
        assert open_storage(str(tmp_path)).url == f"file://{tmp_path}"

    def test_a_full_disk_leaves_nothing_and_says_so(self, small_disk: Path) -> None:
        storage = open_storage(str(small_disk))
        storage.create("a/small", b"1" * 1000)
        with pytest.raises(Unavailable, match=r"a/large: .*The disk is full: free some space"):
            storage.create("a/large", b"1" * 200_000)
        assert storage.names("a") == ["small"]
        assert [path.name for path in (small_disk / "a").iterdir()] == ["small"]
        storage.create("a/next", b"1" * 1000)

    def test_a_file_past_the_process_s_limit_leaves_nothing(self, storage: Storage) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            with pytest.raises(Unavailable, match="a/large: File too large"):
                storage.create("a/large", b"1" * 200_000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert not list(Path(storage.url.removeprefix("file://"), "a").iterdir())

    def test_what_is_denied_is_the_deployment_s_matter(self, storage: Storage) -> None:
        storage.create("a/file", b"1")
        root = Path(storage.url.removeprefix("file://"))
        root.chmod(0)
        user = os.geteuid()
        if user == 0:  # root is denied nothing
            os.seteuid(NOBODY)
        calls: list[Callable[[], object]] = [
            lambda: storage.read("a/file"),
            lambda: storage.size("a/file"),
            lambda: storage.exists("a/file"),
            lambda: storage.open_input("a/file"),
            lambda: storage.names("a"),
            lambda: storage.walk("a"),
            lambda: storage.remove("a/file"),
            lambda: storage.remove_tree("a"),
            lambda: storage.rename_tree("a", "b"),
            lambda: storage.create("a/other", b""),
        ]
        try:
            for call in calls:
                with pytest.raises(BadSettings, match=r"permission denied\. Grant it"):
                    call()
        finally:
            os.seteuid(user)
            root.chmod(0o700)

    def test_an_empty_directory_takes_a_name(self, storage: Storage) -> None:
        storage.create("new/1", b"1")
        root = Path(storage.url.removeprefix("file://"))
        (root / "empty").mkdir()
        with pytest.raises(AlreadyExists, match="/empty exists already"):
            storage.rename_tree("new", "empty")
        assert storage.names("new") == ["1"]
        assert storage.names("empty") == []

    @pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS])
    def test_a_file_system_that_cannot_rename_safely(
        self, storage: Storage, monkeypatch: pytest.MonkeyPatch, code: int
    ) -> None:
        class Kernel:
            def renameat2(self, *arguments: object) -> int:
                ctypes.set_errno(code)
                return -1

        storage.create("new/1", b"1")
        monkeypatch.setattr("engine.stores.file.ctypes.CDLL", lambda *arguments, **options: Kernel())
        with pytest.raises(BadSettings, match=r"without replacing another; it is not\. Use a local disk"):
            storage.rename_tree("new", "target")
        assert storage.names() == ["new"]

    def test_links_are_followed(self, storage: Storage, tmp_path: Path) -> None:
        storage.create("a/file", b"1")
        root = Path(storage.url.removeprefix("file://"))
        (root / "b").symlink_to(root / "a")
        (root / "c").symlink_to(root / "a" / "file")
        assert [file.path for file in storage.walk()] == ["a/file", "b/file", "c"]
        (root / "d").symlink_to(root / "nothing")
        with pytest.raises(NotFound):  # an input that is lost is never left out
            storage.walk()

    def test_what_is_neither_file_nor_directory_is_left_out(self, storage: Storage) -> None:
        storage.create("a/file", b"1")
        os.mkfifo(Path(storage.url.removeprefix("file://"), "a", "pipe"))
        assert [file.path for file in storage.walk()] == ["a/file"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"mounting a small disk needs root: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("url", ["http://host/x", "nonsense://", "://x"])
def test_an_unknown_scheme_is_refused(url: str) -> None:
    with pytest.raises(BadSettings, match=r"must begin with one of file://, hdfs://, memory://, s3:// or be a path"):
        open_storage(url)


@pytest.mark.parametrize(
    "url, library, extra",
    [("hdfs://host:1/x", "hdfs_native", "hdfs"), ("s3://bucket/x", "boto3", "s3")],
)
def test_a_library_that_is_not_installed_is_named(
    url: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(BadSettings, match=rf"is not installed\. pip install 'foretable\[{extra}\]'"):
        open_storage(url)
