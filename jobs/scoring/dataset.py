"""The input of a scoring job: its files, and the partitions they are in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote

from engine.errors import BadArtifact, BadSettings, NotFound, Unavailable
from engine.storage import Storage, open_storage

_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """A file of a data set.

    Attributes:
        path: below the data set's root.
        size_bytes: of the file.
        version: a text that changes when the file is replaced.
    """

    path: str
    size_bytes: int
    version: str

    @property
    def partition(self) -> str:
        """The directories ``key=value/key=value`` that the file is in, as they are named; may be empty."""
        return "/".join(part for part in self.path.split("/")[:-1] if "=" in part)


class Dataset:
    """All files below a directory, or one file, less hidden ones.

    Names that begin with ``.`` or ``_`` are hidden, but not a partition's directory ``_key=value``.

    Attributes:
        url: of its root.
        storage: what its files are read from, by ``full_path``.
    """

    def __init__(self, url: str) -> None:
        """Name it; nothing is read yet.

        Raises:
            BadSettings: the URL names no directory and no file.
        """
        parent, self._name = split_url(url)
        self.storage: Storage = open_storage(parent)
        self.url = f"{self.storage.url}/{self._name}"

    def files(self) -> list[InputFile]:
        """Return its files, sorted by path.

        Raises:
            NotFound: there is none.
        """
        files = []
        for found in self.storage.walk(self._name):
            path = found.path.removeprefix(self._name).removeprefix("/")
            if not any(is_hidden(part) for part in path.split("/")):
                files.append(InputFile(path=path, size_bytes=found.size_bytes, version=found.version))
        if not files:
            message = f"input {self.url} must hold at least one file; got none. Is it the right path, or not there yet?"
            raise NotFound(message)
        return files

    def full_path(self, path: str) -> str:
        """Return a file's path within ``storage``; in a data set of one file it is ``""``."""
        return f"{self._name}/{path}" if path else self._name

    @contextmanager
    def unchanged(self, file: InputFile) -> Iterator[None]:
        """See that a file stays as it was listed; one that is replaced while it is read looks damaged, or gone.

        Raises:
            Unavailable: it was replaced or removed.
        """
        self._check_unchanged(file)
        try:
            yield
        except (BadArtifact, NotFound):
            self._check_unchanged(file)
            raise
        self._check_unchanged(file)

    def _check_unchanged(self, file: InputFile) -> None:
        path = self.full_path(file.path)
        try:
            found = self.storage.stat(path)
        except NotFound:
            found = None
        if found is None or (found.size_bytes, found.version) != (file.size_bytes, file.version):
            message = (
                f"input {self.storage.url}/{path} must stay as it is while it is scored; it was changed. "
                "Run again once it is finished"
            )
            raise Unavailable(message)


def is_hidden(name: str) -> bool:
    """Whether readers skip a name, dots aside.

    As Spark has it: a partition of a column ``_day`` is data, and a file that ``hdfs dfs -put`` still writes is none.
    """
    return (name.startswith("_") and "=" not in name) or name.endswith("._COPYING_")


def partition_values(partition: str) -> Mapping[str, str | None]:
    """Return the columns that a partition's directories stand for, as Hive and Spark write them."""
    pairs = (part.partition("=") for part in partition.split("/") if part)
    return {unquote(key): None if value == _NULL_PARTITION else unquote(value) for key, _, value in pairs}


def split_url(url: str) -> tuple[str, str]:
    """Return the parent's URL and the last name of a directory's or a file's URL or path.

    Raises:
        BadSettings: it has no parent, or begins with a ``~``.
    """
    if url.startswith("~/"):
        message = f"a path must be written out; got {url!r}: the shell does not fill in a ~ after = or in quotes"
        raise BadSettings(message)
    parent, _, name = url.rstrip("/").rpartition("/")
    if not name or name.endswith(":") or parent.endswith(":/") or name in {".", ".."}:
        message = f"a data set must be a directory or a file below a root; got {url!r}"
        raise BadSettings(message)
    return parent or ("/" if url.startswith("/") else "."), name
