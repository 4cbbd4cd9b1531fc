"""What every storage keeps: one suite, one subclass per scheme."""

from __future__ import annotations

import os
import resource
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.errors import AlreadyExists, BadSettings, NotFound, Unavailable
from engine.storage import Storage, open_storage

NOBODY = 65534


class StorageContract:
    """The suite."""

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        raise NotImplementedError

    def test_what_was_created_is_read(self, storage: Storage) -> None:
        storage.create("a/b/file", b"\x00bytes")
        assert storage.read("a/b/file") == b"\x00bytes"
        assert storage.size("a/b/file") == 6
        assert storage.exists("a/b/file")
        with storage.open("a/b/file") as file:
            assert (file.read(3), file.read()) == (b"\x00by", b"tes")

    def test_an_empty_file(self, storage: Storage) -> None:
        storage.create("empty", b"")
        assert storage.exists("empty")
        assert (storage.read("empty"), storage.size("empty")) == (b"", 0)

    def test_another_door_to_the_same_url_sees_it(self, storage: Storage) -> None:
        storage.create("a/file", b"1")
        again = open_storage(storage.url)
        assert again.url == storage.url
        assert again.read("a/file") == b"1"

    def test_a_file_is_never_overwritten(self, storage: Storage) -> None:
        storage.create("file", b"first")
        with pytest.raises(AlreadyExists, match="/file exists already"):
            storage.create("file", b"second")
        assert storage.read("file") == b"first"

    def test_of_16_threads_one_creates(self, storage: Storage) -> None:
        start = threading.Barrier(16)

        def create(number: int) -> bool:
            start.wait()
            try:
                storage.create("a/file", b"%02d" % number * 10_000)
            except AlreadyExists:
                return False
            return True

        with ThreadPoolExecutor(16) as pool:
            won = list(pool.map(create, range(16)))
        assert sum(won) == 1
        assert storage.read("a/file") == b"%02d" % won.index(True) * 10_000
        assert storage.names("a") == ["file"]

    def test_a_file_shows_only_when_it_is_whole(self, storage: Storage) -> None:
        seen: list[tuple[bool, list[str]]] = []

        def write(file: object) -> None:
            file.write(b"half")  # type: ignore[attr-defined]
            file.flush()  # type: ignore[attr-defined]
            seen.append((storage.exists("a/file"), storage.names("a")))
            file.write(b" and half")  # type: ignore[attr-defined]

        storage.create_with("a/file", write)
        assert seen == [(False, [])]
        assert storage.read("a/file") == b"half and half"

    def test_a_writer_that_fails_leaves_nothing(self, storage: Storage) -> None:
        def write(file: object) -> None:
            file.write(b"half")  # type: ignore[attr-defined]
            message = "the model failed"
            raise RuntimeError(message)

        with pytest.raises(RuntimeError, match="the model failed"):
            storage.create_with("a/file", write)
        assert not storage.exists("a/file")
        assert storage.names("a") == []
        storage.create("a/file", b"whole")
        assert storage.read("a/file") == b"whole"

    def test_names_are_sorted_and_of_one_directory(self, storage: Storage) -> None:
        for path in ("b/2", "b/10", "b/deep/3", "a", "b/.unfinished"):
            storage.create(path, b"")
        assert storage.names("b") == ["10", "2", "deep"]
        assert storage.names() == ["a", "b"]
        assert storage.names("b/deep") == ["3"]

    def test_a_directory_that_does_not_exist_has_no_names(self, storage: Storage) -> None:
        assert storage.names("nowhere") == []
        assert storage.names() == []

    def test_names_with_spaces_and_other_letters(self, storage: Storage) -> None:
        storage.create("m\u00f6del/a b%20#?.json", b"1")
        assert storage.names("m\u00f6del") == ["a b%20#?.json"]
        assert storage.read("m\u00f6del/a b%20#?.json") == b"1"

    @pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd", "a//b", ".", "a/.", "a/", "", "a/\0b"])
    def test_a_path_that_leaves_the_root_is_refused(self, storage: Storage, path: str) -> None:
        calls: list[Callable[[], object]] = [
            lambda: storage.read(path),
            lambda: storage.size(path),
            lambda: storage.exists(path),
            lambda: storage.create(path, b""),
            lambda: storage.remove_tree(path),
            lambda: storage.open(path).__enter__(),
        ]
        if path:  # the empty path of a listing is the root
            calls.append(lambda: storage.names(path))
        for call in calls:
            with pytest.raises(BadSettings, match="names joined by single slashes"):
                call()

    def test_what_is_missing_is_not_found(self, storage: Storage) -> None:
        storage.create("file", b"")
        for path in ("nothing", "no/where", "file/below"):
            assert not storage.exists(path)
            for call in (storage.read, storage.size, lambda path: storage.open(path).__enter__()):
                with pytest.raises(NotFound, match=f"{path} does not exist"):
                    call(path)

    def test_a_directory_is_no_file(self, storage: Storage) -> None:
        storage.create("a/b", b"1")
        with pytest.raises(NotFound):
            storage.read("a")
        with pytest.raises(AlreadyExists):
            storage.create("a", b"1")
        assert storage.names("a") == ["b"]

    def test_a_file_in_the_way_of_a_directory_is_no_lost_race(self, storage: Storage) -> None:
        storage.create("a", b"1")
        for path in ("a/b", "a/b/c"):
            with pytest.raises(NotFound):
                storage.create(path, b"2")
        assert storage.read("a") == b"1"

    def test_a_tree_is_removed_with_all_in_it(self, storage: Storage) -> None:
        for path in ("a/b/1", "a/b/c/2", "a/.unfinished", "ab"):
            storage.create(path, b"")
        storage.remove_tree("a")
        storage.remove_tree("a")
        assert not storage.exists("a/b/1")
        assert storage.names() == ["ab"]

    def test_a_name_can_be_used_again_once_it_is_removed(self, storage: Storage) -> None:
        storage.create("a/file", b"1")
        storage.remove_tree("a")
        storage.create("a/file", b"2")
        assert storage.read("a/file") == b"2"


class TestMemory(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        return open_storage(f"memory://test-{secrets.token_hex(8)}/root")


class TestFile(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        return open_storage(f"file://{tmp_path}/root")

    def test_a_plain_path_is_a_file_url(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert open_storage("some/where").url == f"file://{tmp_path}/some/where"
        assert open_storage(str(tmp_path)).url == f"file://{tmp_path}"

    def test_of_8_processes_one_creates(self, storage: Storage) -> None:
        code = (
            "import sys; from engine.storage import open_storage; from engine.errors import AlreadyExists\n"
            "storage = open_storage(sys.argv[1]); print('ready', flush=True); sys.stdin.readline()\n"
            "try: storage.create('a/file', sys.argv[2].encode() * 100_000)\n"
            "except AlreadyExists: sys.exit(75)"
        )
        writers = [child(code, storage.url, str(number)) for number in range(8)]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write(b"\n")
            writer.stdin.flush()
        codes = []
        for writer in writers:
            writer.communicate()
            codes.append(writer.returncode)
        assert sorted(codes) == [0] + [75] * 7
        assert storage.read("a/file") == b"%d" % codes.index(0) * 100_000
        assert os.listdir(Path(storage.url.removeprefix("file://")) / "a") == ["file"]  # noqa: PTH208

    def test_a_writer_that_is_killed_leaves_nothing_to_see(self, storage: Storage) -> None:
        code = (
            "import sys; from engine.storage import open_storage\n"
            "def write(file):\n"
            "    file.write(b'half' * 10_000); file.flush(); print('ready', flush=True); sys.stdin.readline()\n"
            "open_storage(sys.argv[1]).create_with('a/file', write)"
        )
        writer = child(code, storage.url)
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        writer.kill()
        writer.communicate()
        assert writer.returncode == -signal.SIGKILL
        assert not storage.exists("a/file")
        assert storage.names("a") == []
        storage.create("a/file", b"whole")
        assert storage.read("a/file") == b"whole"

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
            lambda: storage.names("a"),
            lambda: storage.create("a/other", b""),
        ]
        try:
            for call in calls:
                with pytest.raises(BadSettings, match=r"permission denied\. Grant it"):
                    call()
        finally:
            os.seteuid(user)
            root.chmod(0o700)


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


@pytest.mark.parametrize("url", ["s3://bucket/x", "http://host/x", "nonsense://"])
def test_an_unknown_scheme_is_refused(url: str) -> None:
    with pytest.raises(BadSettings, match=r"must begin with one of file://, memory:// or be a path"):
        open_storage(url)


def child(code: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
