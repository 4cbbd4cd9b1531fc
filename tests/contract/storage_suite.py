"""What every storage keeps: the suite, and a mixin for each capability that not all of them have."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import AlreadyExists, BadSettings, NotFound
from engine.storage import Storage, open_storage

# More than a part of an upload to S3, and not a multiple of anything.
LARGE_SIZE_BYTES = 20_000_003


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
            lambda: storage.remove(path),
            lambda: storage.stat(path),
            lambda: storage.read_range(path, 0, 1),
            lambda: storage.open_input(path),
            lambda: storage.open(path).__enter__(),
        ]
        if path:  # the empty path of a listing is the root
            calls += [lambda: storage.names(path), lambda: storage.walk(path)]
        for call in calls:
            with pytest.raises(BadSettings, match="names joined by single slashes"):
                call()

    def test_what_is_missing_is_not_found(self, storage: Storage) -> None:
        storage.create("file", b"")
        for path in ("nothing", "no/where", "file/below"):
            assert not storage.exists(path)
            for call in (storage.read, storage.size, storage.open_input, lambda path: storage.open(path).__enter__()):
                with pytest.raises(NotFound, match=f"{path} does not exist"):
                    call(path)

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

    @pytest.mark.parametrize(
        "path", ["date=2026-01-01/part 0.parquet", "a%3Db/%25", "k=m\u00f6del \u6771/x", "_tmp/+&$@"]
    )
    def test_names_of_partitions_and_others(self, storage: Storage, path: str) -> None:
        storage.create(path, b"1")
        assert (storage.read(path), storage.exists(path)) == (b"1", True)
        assert [file.path for file in storage.walk()] == [path]
        assert storage.names() == [path.partition("/")[0]]

    def test_ranges(self, storage: Storage) -> None:
        storage.create("file", bytes(range(200)))
        assert storage.read_range("file", 0, 3) == b"\x00\x01\x02"
        assert storage.read_range("file", 100, 2) == b"\x64\x65"
        assert storage.read_range("file", 198, 10) == b"\xc6\xc7"
        assert storage.read_range("file", 200, 1) == storage.read_range("file", 5, 0) == b""
        assert storage.read_range("file", 1_000_000, 1) == b""
        for start, size in ((-1, 1), (0, -1)):
            with pytest.raises(BadSettings, match="a range must not be negative"):
                storage.read_range("file", start, size)

    def test_an_input_is_read_anywhere(self, storage: Storage) -> None:
        storage.create("file", bytes(range(200)))
        with storage.open_input("file") as file:
            assert file.size() == 200
            assert file.seekable()
            file.seek(150)
            assert file.read(2) == b"\x96\x97"
            file.seek(0)
            assert (file.read(1), file.tell()) == (b"\x00", 1)
            file.seek(-1, 2)
            assert file.read() == b"\xc7"
            assert file.read(1) == b""

    def test_an_input_gives_arrow_its_row_groups(self, storage: Storage) -> None:
        table = pa.table({"number": range(10_000), "text": [f"row {number}" for number in range(10_000)]})
        storage.create_with("part.parquet", lambda file: pq.write_table(table, file, row_group_size=1_000))
        with storage.open_input("part.parquet") as file, pq.ParquetFile(file, pre_buffer=True) as parquet:
            assert parquet.num_row_groups == 10
            assert parquet.read_row_group(7, ["text"])["text"][3].as_py() == "row 7003"
            assert parquet.read().equals(table)

    def test_a_large_file(self, storage: Storage) -> None:
        data = np.random.default_rng(1).bytes(LARGE_SIZE_BYTES)

        def write(file: io.RawIOBase) -> None:
            for start in range(0, len(data), 1 << 20):
                assert file.write(data[start : start + (1 << 20)]) == len(data[start : start + (1 << 20)])

        storage.create_with("a/large", write)  # type: ignore[arg-type]
        assert storage.size("a/large") == LARGE_SIZE_BYTES
        assert storage.read("a/large") == data
        assert storage.read_range("a/large", 16_777_210, 20) == data[16_777_210:16_777_230]
        with storage.open("a/large") as file:
            assert b"".join(iter(lambda: file.read(3_000_000), b"")) == data
        with pytest.raises(AlreadyExists):
            storage.create_with("a/large", write)  # type: ignore[arg-type]

    def test_a_large_file_of_a_writer_that_fails(self, storage: Storage) -> None:
        def write(file: io.RawIOBase) -> None:
            file.write(bytes(LARGE_SIZE_BYTES))
            message = "the model failed"
            raise RuntimeError(message)

        with pytest.raises(RuntimeError, match="the model failed"):
            storage.create_with("a/large", write)  # type: ignore[arg-type]
        assert storage.walk(hidden=True) == []

    def test_of_large_files_written_at_once_one_stays(self, storage: Storage) -> None:
        start = threading.Barrier(2)

        def create(number: int) -> bool:
            def write(file: io.RawIOBase) -> None:
                start.wait()  # both have found the name free
                file.write(b"%d" % number * LARGE_SIZE_BYTES)

            try:
                storage.create_with("large", write)  # type: ignore[arg-type]
            except AlreadyExists:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            won = list(pool.map(create, range(2)))
        assert sum(won) == 1
        assert storage.read("large") == b"%d" % won.index(True) * LARGE_SIZE_BYTES
        assert [file.path for file in storage.walk(hidden=True)] == ["large"]

    def test_a_walk_gives_all_files_below(self, storage: Storage) -> None:
        for path in ("b/2", "b/10", "b/c/d/3", "a", "bc", "b/.hidden", "b/.work/4", ".top/5", "b-a"):
            storage.create(path, path.encode())
        assert [(file.path, file.size_bytes) for file in storage.walk()] == [
            ("a", 1), ("b-a", 3), ("b/10", 4), ("b/2", 3), ("b/c/d/3", 7), ("bc", 2),
        ]  # fmt: skip
        assert [file.path for file in storage.walk("b")] == ["b/10", "b/2", "b/c/d/3"]
        assert [file.path for file in storage.walk("b", hidden=True)] == [
            "b/.hidden", "b/.work/4", "b/10", "b/2", "b/c/d/3",
        ]  # fmt: skip
        assert [file.path for file in storage.walk(".top")] == [".top/5"]  # asked for by its name
        assert [file.path for file in storage.walk("b/2")] == ["b/2"]
        assert storage.walk("nowhere") == storage.walk("a/below") == []
        assert storage.walk() == [storage.stat(file.path) for file in storage.walk()]

    def test_a_version_changes_when_the_file_does(self, storage: Storage) -> None:
        versions = []
        for data in (b"first", b"second", b"third"):
            storage.create("a/file", data)
            found = storage.stat("a/file")
            assert (found.path, found.size_bytes) == ("a/file", len(data))
            assert storage.stat("a/file") == found == storage.walk("a")[0]
            versions.append(found.version)
            storage.remove("a/file")
        assert len(set(versions)) == 3
        assert all(versions)

    def test_a_listing_is_never_stale(self, storage: Storage) -> None:
        other = open_storage(storage.url)
        for number in range(3):
            assert (len(storage.names("a")), len(storage.walk("a"))) == (number, number)
            assert not storage.exists(f"a/{number}")
            other.create(f"a/{number}", b"")
        other.remove("a/1")
        assert storage.names("a") == ["0", "2"]
        assert not storage.exists("a/1")

    def test_one_file_is_removed(self, storage: Storage) -> None:
        for path in ("a/1", "a/2"):
            storage.create(path, b"")
        storage.remove("a/1")
        storage.remove("a/1")
        storage.remove("no/where")
        assert storage.names("a") == ["2"]


class WithDirectories:
    """Of storages where a name is a file or a directory, never both."""

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


class WithRenames:
    """Of storages that rename a directory in one step."""

    def test_a_finished_tree_shows_at_once(self, storage: Storage) -> None:
        assert storage.can_rename_trees
        for path in (".work/date=2026-01-01/1", ".work/date=2026-01-02/2", ".work/.note"):
            storage.create(path, path.encode())
        storage.rename_tree(".work", "out/day/scores")
        assert [file.path for file in storage.walk()] == [
            "out/day/scores/date=2026-01-01/1", "out/day/scores/date=2026-01-02/2",
        ]  # fmt: skip
        assert storage.read("out/day/scores/.note") == b".work/.note"
        assert not storage.exists(".work")

    def test_a_tree_takes_no_name_that_is_taken(self, storage: Storage) -> None:
        for path in ("new/1", "tree/2", "file"):
            storage.create(path, path.encode())
        for target in ("tree", "file", "new"):
            with pytest.raises(AlreadyExists, match=f"/{target} exists already"):
                storage.rename_tree("new", target)
        assert [file.path for file in storage.walk()] == ["file", "new/1", "tree/2"]

    def test_what_cannot_be_renamed(self, storage: Storage) -> None:
        storage.create("file", b"")
        storage.create("tree/1", b"")
        for source in ("nothing", "no/where", "file", "file/below"):
            with pytest.raises(NotFound, match=f"/{source} does not exist"):
                storage.rename_tree(source, "target")
        with pytest.raises(NotFound):  # a file stands where a directory must be
            storage.rename_tree("tree", "file/target")
        with pytest.raises(BadSettings, match="must not be renamed into itself"):
            storage.rename_tree("tree", "tree/below")
        for path in ("../x", "a//b", ""):
            with pytest.raises(BadSettings, match="names joined by single slashes"):
                storage.rename_tree("tree", path)
        assert [file.path for file in storage.walk()] == ["file", "tree/1"]

    def test_of_16_trees_one_takes_the_name(self, storage: Storage) -> None:
        for number in range(16):
            storage.create(f".work-{number}/file", b"%d" % number)
        start = threading.Barrier(16)

        def rename(number: int) -> bool:
            start.wait()
            try:
                storage.rename_tree(f".work-{number}", "out/scores")
            except AlreadyExists:
                return False
            return True

        with ThreadPoolExecutor(16) as pool:
            won = list(pool.map(rename, range(16)))
        assert sum(won) == 1
        assert [file.path for file in storage.walk()] == ["out/scores/file"]
        assert storage.read("out/scores/file") == b"%d" % won.index(True)
        assert len(storage.walk(hidden=True)) == 16  # the losers' work is where it was


CREATE_AT_A_SIGN = (
    "import sys; from engine.storage import open_storage; from engine.errors import AlreadyExists\n"
    "storage = open_storage(sys.argv[1]); print('ready', flush=True); sys.stdin.readline()\n"
    "try: storage.create('a/file', sys.argv[2].encode() * 100_000)\n"
    "except AlreadyExists: sys.exit(75)"
)
WRITE_UNTIL_KILLED = (
    "import sys; from engine.storage import open_storage\n"
    "def write(file):\n"
    "    file.write(b'half' * 5_000_000); file.flush(); print('ready', flush=True); sys.stdin.readline()\n"
    "open_storage(sys.argv[1]).create_with('a/file', write)"
)


class BetweenProcesses:
    """Of storages that several processes share."""

    def test_of_4_processes_one_creates(self, storage: Storage) -> None:
        with running(CREATE_AT_A_SIGN, storage.url, writers=4) as writers:
            for writer in writers:
                assert writer.stdin is not None
                writer.stdin.write(b"\n")
                writer.stdin.flush()
            for writer in writers:
                writer.communicate()
        codes = [writer.returncode for writer in writers]
        assert sorted(codes) == [0, 75, 75, 75]
        assert storage.read("a/file") == b"%d" % codes.index(0) * 100_000
        assert [file.path for file in storage.walk(hidden=True)] == ["a/file"]

    def test_a_writer_that_is_killed_leaves_nothing_to_see(self, storage: Storage) -> None:
        with running(WRITE_UNTIL_KILLED, storage.url, writers=1) as (writer,):
            writer.kill()
            writer.communicate()
        assert writer.returncode == -signal.SIGKILL
        assert not storage.exists("a/file")
        assert storage.names("a") == []
        assert storage.walk() == []
        storage.create("a/file", b"whole")
        assert storage.read("a/file") == b"whole"


@contextmanager
def running(code: str, url: str, *, writers: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Give processes that each said that they are ready; none outlives the block."""
    children = [child(code, url, str(number)) for number in range(writers)]
    try:
        for started in children:
            assert started.stdout is not None
            assert started.stdout.readline() == b"ready\n"
        yield children
    finally:
        for started in children:
            started.kill()
            started.communicate()


def child(code: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
