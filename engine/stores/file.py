"""``file://`` and plain paths: a directory of this host, or one mounted on it."""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from engine.errors import BadSettings
from engine.stores.store import StoredFile, Write

_AT_FDCWD = -100  # paths are relative to the working directory; ours are absolute
_RENAME_NOREPLACE = 1


class FileStore:
    """Files under a directory, which need not exist yet."""

    can_rename_trees = True

    def __init__(self, location: str) -> None:
        self._root = Path(location).absolute()
        self.url = f"file://{self._root}"

    def read(self, path: str) -> bytes:
        """Return all bytes of a file."""
        return self._full(path).read_bytes()

    def read_range(self, path: str, start: int, size: int) -> bytes:
        """Return the bytes from ``start``, fewer than ``size`` where the file ends before."""
        with self._full(path).open("rb", buffering=0) as file:
            file.seek(start)
            parts = []
            while size > 0 and (part := file.read(size)):  # the kernel gives at most 2 GiB at a time
                parts.append(part)
                size -= len(part)
        return b"".join(parts)

    def open(self, path: str) -> BinaryIO:
        """Open a file to read it in order."""
        return self._full(path).open("rb")

    def open_input(self, path: str) -> pa.NativeFile:
        """Open a file for Arrow's own reads; not mapped, since a file cut short under a map kills the process."""
        self.stat(path)  # raises for a directory, of which Arrow says only that it cannot be opened
        return pa.OSFile(str(self._full(path)), "rb")

    def stat(self, path: str) -> StoredFile:
        """Return a file's length and version."""
        full = self._full(path)
        found = full.stat()
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(full))
        return _stored(path, found)

    def exists(self, path: str) -> bool:
        """Whether there is a file or a directory."""
        try:
            self._full(path).stat()  # not Path.exists: that takes every error for a no
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def names(self, path: str) -> list[str]:
        """Return the names in a directory."""
        try:
            return os.listdir(self._full(path))  # noqa: PTH208 (names, not paths)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def walk(self, path: str, *, hidden: bool) -> list[StoredFile]:
        """Return all regular files below a directory; links are followed, a link to nothing is an error."""
        try:
            return [self.stat(path)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except IsADirectoryError:
            pass
        files: list[StoredFile] = []
        folders = [path]
        while folders:
            folder = folders.pop()
            try:
                entries = list(os.scandir(self._full(folder)))
            except FileNotFoundError:  # removed since its parent was listed
                continue
            for entry in entries:
                if entry.name.startswith(".") and not hidden:
                    continue
                below = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_dir():
                    folders.append(below)
                    continue
                try:
                    found = entry.stat()
                except FileNotFoundError:
                    if entry.is_symlink():
                        raise
                    continue  # removed since it was listed
                if stat.S_ISREG(found.st_mode):
                    files.append(_stored(below, found))
        return files

    def create(self, path: str, write: Write) -> None:
        """Write beside the target, make it durable, then link: linking refuses a name that is taken."""
        target = self._full(path)
        _make_folder(target.parent)
        if target.exists():  # spare the writing; the link below is what decides
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        temporary = target.parent / f".{target.name}.{secrets.token_hex(8)}"
        try:
            with temporary.open("xb") as file:  # 1. all bytes, durable
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, target)  # 2. visible, or FileExistsError
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(target.parent)  # 3. the name is durable too

    def rename_tree(self, source: str, target: str) -> None:
        """Rename a directory in one step of the kernel, which refuses a name that is taken."""
        old, new = self._full(source), self._full(target)
        if not stat.S_ISDIR(old.stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(old))
        _make_folder(new.parent)
        _rename_to_free_name(old, new)
        _sync_folder(new.parent)
        if old.parent != new.parent:
            _sync_folder(old.parent)

    def remove(self, path: str) -> None:
        """Delete a file; nothing where there is none."""
        with suppress(FileNotFoundError, NotADirectoryError):
            self._full(path).unlink()

    def remove_tree(self, path: str) -> None:
        """Delete a directory (or a file) and all in it; nothing where there is none."""
        full = self._full(path)
        try:
            found = full.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return
        if stat.S_ISDIR(found.st_mode):
            shutil.rmtree(full)
        else:
            full.unlink()

    def _full(self, path: str) -> Path:
        return self._root / path


def _stored(path: str, found: os.stat_result) -> StoredFile:
    return StoredFile(path, found.st_size, f"{found.st_mtime_ns:x}-{found.st_ino:x}")


def _make_folder(folder: Path) -> None:
    """Make a directory and its parents, durably: a file is only as durable as the names that lead to it."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    try:
        folder.mkdir(exist_ok=True)
    except FileExistsError as error:  # a file stands where a directory must be: that is not "somebody was first"
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from error
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rename_to_free_name(old: Path, new: Path) -> None:
    """Rename, or raise ``FileExistsError``: ``os.rename`` would replace a directory that is empty."""
    system = ctypes.CDLL(None, use_errno=True)
    if hasattr(system, "renameat2"):
        if system.renameat2(_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), _RENAME_NOREPLACE) == 0:
            return
        code = ctypes.get_errno()
    else:
        code = errno.ENOSYS
    if code in {errno.ENOSYS, errno.EINVAL}:  # NFS, and systems other than Linux
        message = (
            f"{new}: the file system must be able to rename a directory without replacing another; it is not. "
            "Use a local disk, hdfs:// or s3://"
        )
        raise BadSettings(message)
    raise OSError(code, os.strerror(code), str(old), None, str(new))
