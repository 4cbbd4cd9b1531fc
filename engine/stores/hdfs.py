"""``hdfs://``: HDFS by its own protocol, without a JVM (the library hdfs-native, extra ``hdfs``).

``hdfs://host:port/path`` names a NameNode, ``hdfs://nameservice/path`` a name service of the configuration, and
``hdfs:///path`` the configuration's ``fs.defaultFS``. The library itself reads, and this store lets through:

- ``HADOOP_CONF_DIR`` (else ``HADOOP_HOME/etc/hadoop``): ``core-site.xml`` and ``hdfs-site.xml``, for the NameNodes of
  a name service and their failover, observers, ``dfs.client.*``, data transfer protection, viewfs mounts;
- ``HADOOP_USER_NAME`` and ``HADOOP_PROXY_USER``, where security is off;
- with ``hadoop.security.authentication`` = ``kerberos``: the ticket cache (``KRB5CCNAME``), through the system's
  ``libgssapi_krb5``, or the delegation tokens in the file ``HADOOP_TOKEN_FILE_LOCATION``, as YARN sets it.

The library has no deadline for a NameNode's answer; the store sets deadlines of its own (the library's asyncio client
could be cancelled, but panics when it waits for a failover).
"""

from __future__ import annotations

import errno
import io
import os
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, TypeVar, cast

from engine.errors import BadSettings
from engine.stores.range_reader import BUFFER_SIZE_BYTES, RangeReader, RangeStore
from engine.stores.store import StoredFile, Write, is_hidden

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
    from hdfs_native import FileStatus, FileWriter

_Result = TypeVar("_Result")

# A failover takes 10 to 30 s: with less, each one would fail jobs; with more, a NameNode that is gone for good stops
# a server's start for minutes.
_METADATA_TIMEOUT_S = 60.0
# A DataNode that froze costs ``dfs.client.socket-timeout`` (60 s) before the next replica is asked.
_DATA_TIMEOUT_S = 180.0
# One NameNode that refuses connections is down; the library's 15 attempts at it take two minutes.
_ONE_NAMENODE = {"dfs.client.failover.max.attempts": "2"}
_LONGEST_TEXT = 300
_LISTINGS_AT_ONCE = 16  # more would crowd out the NameNode's other clients


class HdfsStore(RangeStore):
    """Files in HDFS, through one client."""

    can_rename_trees = True

    def __init__(self, location: str) -> None:
        authority, _, path = location.partition("/")
        self._root = f"/{path.strip('/')}".rstrip("/")
        self.url = f"hdfs://{authority}{self._root}"
        try:
            from hdfs_native import Client
        except ImportError as error:
            message = f"{self.url} needs the library hdfs-native; it is not installed. pip install 'foretable[hdfs]'"
            raise BadSettings(message) from error
        try:
            self._client = Client(
                f"hdfs://{authority}" if authority else None, _ONE_NAMENODE if ":" in authority else None
            )
        except Exception as error:  # the library's errors here are of every class
            message = (
                f"{self.url!r} must be hdfs://host:port/path, or name a service or default that the files in "
                f"HADOOP_CONF_DIR ({os.environ.get('HADOOP_CONF_DIR', 'not set')}) define; got: {error}"
            )
            raise BadSettings(message) from error

    def read(self, path: str) -> bytes:
        """Return all bytes of a file."""
        return self._reader(path).readall()

    def stat(self, path: str) -> StoredFile:
        """Return a file's length and version."""
        found = self._status(path)
        if found.isdir:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        return self._stored(found)

    def exists(self, path: str) -> bool:
        """Whether there is a file or a directory."""
        try:
            self._status(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def names(self, path: str) -> list[str]:
        """Return the names in a directory."""
        found = self._list(path)
        return [status.path.rpartition("/")[2] for status in found if status.path != self._full(path)]

    def walk(self, path: str, *, hidden: bool) -> list[StoredFile]:
        """Return all files below a directory: one listing for each directory, many of them at once."""
        files: list[StoredFile] = []
        folders = [path]
        while folders:
            batch, folders = folders[:_LISTINGS_AT_ONCE], folders[_LISTINGS_AT_ONCE:]
            for status in self._list(*batch):
                below = self._relative(status)
                if below != path and not hidden and is_hidden(below.rpartition("/")[2]):
                    continue
                if status.isdir:
                    folders.append(below)
                else:
                    files.append(self._stored(status))
        return files

    def create(self, path: str, write: Write) -> None:
        """Write beside the target, close, then rename: the NameNode refuses a name that is taken.

        Closed is as durable as HDFS makes it: on every replica's host, and on its disk where the cluster sets
        ``dfs.datanode.synconclose``.
        """
        from hdfs_native import WriteOptions

        target = self._full(path)
        if self.exists(path):  # spare the writing; the rename below is what decides
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
        folder, _, name = target.rpartition("/")
        temporary = f"{folder}/.{name}.{secrets.token_hex(8)}"
        options = WriteOptions(overwrite=False, create_parent=True)
        try:
            opened = _wait(lambda: self._client.create(temporary, options))
        except FileExistsError as error:  # a file stands where a directory must be: that is not "somebody was first"
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder) from error
        try:
            file = _Writer(opened)
            write(cast("BinaryIO", file))
            file.finish()  # 1. all bytes, acknowledged by the DataNodes
        except BaseException:
            self._discard(temporary)
            raise
        self._rename(temporary, target)  # 2. visible, or FileExistsError

    def rename_tree(self, source: str, target: str) -> None:
        """Rename a directory; the NameNode refuses a name that is taken, even by an empty directory."""
        if not self._status(source).isdir:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), source)
        folder = self._full(target).rpartition("/")[0]
        try:
            _wait(lambda: self._client.mkdirs(folder or "/", create_parent=True))
        except FileExistsError as error:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder) from error
        _wait(lambda: self._client.rename(self._full(source), self._full(target)))

    def remove(self, path: str) -> None:
        """Delete a file; nothing where there is none."""
        try:
            self.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        _wait(lambda: self._client.delete(self._full(path)))

    def remove_tree(self, path: str) -> None:
        """Delete a directory (or a file) and all in it; nothing where there is none."""
        with suppress(FileNotFoundError, NotADirectoryError):
            _wait(lambda: self._client.delete(self._full(path), recursive=True))

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root or "/"

    def _relative(self, status: FileStatus) -> str:
        return status.path.removeprefix(f"{self._root}/")

    def _stored(self, status: FileStatus) -> StoredFile:
        # The NameNode's file number is not to be had; a file replaced within one millisecond has another length.
        return StoredFile(self._relative(status), status.length, f"{status.modification_time:x}-{status.length:x}")

    def _status(self, path: str) -> FileStatus:
        return _wait(lambda: self._client.get_file_info(self._full(path)))

    def _list(self, *paths: str) -> list[FileStatus]:
        """List directories at once; a file lists itself, and what is missing nothing."""
        asked = [_start(partial(self._entries, self._full(path))) for path in paths]
        found: list[FileStatus] = []
        for answer in asked:
            with suppress(FileNotFoundError, NotADirectoryError):
                statuses = _result(answer, _METADATA_TIMEOUT_S)
                found += statuses
        return found

    def _entries(self, full: str) -> list[FileStatus]:
        return list(self._client.list_status(full))

    def _reader(self, path: str) -> RangeReader:
        opened = _wait(lambda: self._client.read(self._full(path)))
        return RangeReader(
            len(opened), lambda start, size: _wait(lambda: opened.read_range(start, size), _DATA_TIMEOUT_S)
        )

    def _rename(self, temporary: str, target: str) -> None:
        try:
            _wait(lambda: self._client.rename(temporary, target))
        except FileExistsError:
            self._discard(temporary)
            raise
        except OSError:
            # The answer may be what was lost. Nobody else renames a file of this name: if it is gone, it went there.
            try:
                _wait(lambda: self._client.get_file_info(temporary))
            except FileNotFoundError:
                return
            self._discard(temporary)
            raise

    def _discard(self, temporary: str) -> None:
        with suppress(OSError, BadSettings):  # the error that led here tells more; the name is hidden
            _wait(lambda: self._client.delete(temporary))


class _Writer(io.RawIOBase):
    """A file that is being written. Dropped before it is finished, it stays open until the NameNode deletes it."""

    def __init__(self, opened: FileWriter) -> None:
        self._opened, self._buffer = opened, bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer) -> int:
        view = memoryview(data).cast("B")
        self._buffer += view
        if len(self._buffer) >= BUFFER_SIZE_BYTES:
            self._send()
        return len(view)

    def finish(self) -> None:
        self._send()
        # No hsync: in hdfs-native 0.14.7 it never returns when a DataNode of the pipeline died.
        _wait(self._opened.close, _DATA_TIMEOUT_S)

    def _send(self) -> None:
        data, self._buffer = bytes(self._buffer), bytearray()
        if data:
            _wait(lambda: self._opened.write(data), _DATA_TIMEOUT_S)


def _wait(call: Callable[[], _Result], timeout_s: float | None = None) -> _Result:
    """Return what a call of the library gives, or raise its error as an ``OSError``."""
    return _result(_start(call), _METADATA_TIMEOUT_S if timeout_s is None else timeout_s)


def _start(call: Callable[[], _Result]) -> Future[_Result]:
    """Run a call in a thread of its own, which ends with the process if the call never does."""
    answer: Future[_Result] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # a panic of the library is no Exception
            answer.set_exception(error)

    threading.Thread(target=run, name="hdfs", daemon=True).start()
    return answer


def _result(answer: Future[_Result], timeout_s: float) -> _Result:
    try:
        return answer.result(timeout_s)
    except TimeoutError as error:
        raise TimeoutError(errno.ETIMEDOUT, f"no answer within {timeout_s:g} s") from error
    except Exception as error:
        raise _meaning(error) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise OSError(errno.EIO, f"hdfs-native panicked: {error}") from error


def _meaning(error: Exception) -> Exception:
    """Return what the library's error means: it gives most as a RuntimeError that names a Java class."""
    if isinstance(error, OSError):  # a number tells readers that the storage failed, not that the bytes are damaged
        return error if error.errno else type(error)(errno.EIO, _shortened(error))
    if not isinstance(error, RuntimeError):
        return error
    text = _shortened(error)

    def names(*words: str) -> bool:
        return any(word in text for word in words)

    if names("ParentNotDirectoryException", "(is not a directory)"):
        return NotADirectoryError(errno.ENOTDIR, text)
    if names("must both be directories"):  # of a rename to a name that is taken by the other kind
        return FileExistsError(errno.EEXIST, text)
    if names("AccessControlException"):
        return PermissionError(errno.EACCES, text)
    if names("SASLError", "GSSAPIError", "NoSASLMechanism", "AuthorizationException", "InvalidToken"):
        message = (
            f"HDFS must know who asks; got {text}. Log in with kinit, or renew the tokens in HADOOP_TOKEN_FILE_LOCATION"
        )
        return BadSettings(message)
    if names("InvalidPathException"):
        return BadSettings(f"an HDFS name must not hold a colon; got: {text}")
    if names("QuotaExceededException"):
        return OSError(errno.EDQUOT, text)
    return OSError(errno.EIO, text)  # down, in safe mode, on standby, without DataNodes or blocks


def _shortened(error: Exception) -> str:
    """Return an error's text without Java's stack, and without the description of every DataNode."""
    text = str(error).partition(r"\n\tat ")[0]
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"
