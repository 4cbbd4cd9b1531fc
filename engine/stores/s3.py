"""``s3://bucket/prefix``: Amazon's object store, or another that speaks its protocol (the library boto3, extra ``s3``).

Credentials, region and endpoint come from where boto3 looks: ``AWS_ACCESS_KEY_ID`` …, ``AWS_PROFILE``, the instance's
or pod's role, ``AWS_ENDPOINT_URL``. The store must honour ``If-None-Match: *`` on writes; Amazon's does, and so do
MinIO and Ceph. There are no directories: a name can be a file and lead to others at the same time.

A writer that is killed leaves parts that no reader sees, and that cost money until the bucket's lifecycle rule
``AbortIncompleteMultipartUpload`` removes them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, BinaryIO, cast

from engine.errors import BadSettings
from engine.stores.range_reader import RangeReader, RangeStore
from engine.stores.s3_errors import DENIED, errors_of
from engine.stores.s3_upload import Upload
from engine.stores.store import StoredFile, Write, is_hidden

_CONNECT_TIMEOUT_S = 5  # a host that is gone does not answer at all; four attempts take half a minute
_READ_TIMEOUT_S = 60
_ATTEMPTS = 4
_CONNECTIONS = 32  # the threads of a program that reads with all its cores wait for none
_DELETED_AT_ONCE = 1000  # S3's limit


class S3Store(RangeStore):
    """Objects whose keys begin with a prefix, through one client."""

    can_rename_trees = False

    def __init__(self, location: str) -> None:
        self._bucket, _, path = location.partition("/")
        self._prefix = f"{path.strip('/')}/".lstrip("/")
        self.url = f"s3://{self._bucket}/{self._prefix}".rstrip("/")
        if not self._bucket:
            message = f"{self.url!r} must be s3://bucket/prefix; got no bucket"
            raise BadSettings(message)
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            message = f"{self.url} needs the library boto3; it is not installed. pip install 'foretable[s3]'"
            raise BadSettings(message) from error
        config = Config(
            connect_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=_READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            max_pool_connections=_CONNECTIONS,
        )
        with errors_of("", url=self.url):
            # A session of its own: boto3's default one is not for threads that open clients at once.
            self._client: Any = boto3.session.Session().client("s3", config=config)

    def read(self, path: str) -> bytes:
        """Return all bytes of a file."""
        with errors_of(path, url=self.url):
            return bytes(self._client.get_object(**self._named(path))["Body"].read())

    def stat(self, path: str) -> StoredFile:
        """Return a file's length and version."""
        found = self._head(path)
        return StoredFile(path, int(found["ContentLength"]), found["ETag"].strip('"'))

    def exists(self, path: str) -> bool:
        """Whether there is a file; there are no directories."""
        try:
            self._head(path)
        except FileNotFoundError:
            return False
        return True

    def names(self, path: str) -> list[str]:
        """Return the names under a prefix, up to the next slash."""
        folder = f"{self._key(path)}/" if path else self._prefix
        names: set[str] = set()
        with errors_of(folder, url=self.url):
            for page in self._pages(folder, Delimiter="/"):
                keys = [entry["Key"] for entry in page.get("Contents", [])]
                keys += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
                names.update(key.removeprefix(folder).rstrip("/") for key in keys)
        return list(names - {""})  # consoles make an empty object of the folder's own name

    def walk(self, path: str, *, hidden: bool) -> list[StoredFile]:
        """Return all files under a prefix, by one listing."""
        if path:
            with suppress(FileNotFoundError):
                return [self.stat(path)]
        return [file for file in self._below(path) if hidden or not is_hidden(file.path[len(path) :].lstrip("/"))]

    def create(self, path: str, write: Write) -> None:
        """Upload, in parts where it is long, and take the name by the last request, if it is free."""
        if self.exists(path):  # spare the writing; the last request is what decides
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        with errors_of(path, url=self.url):
            upload = Upload(self._client, self._named(path))
            try:
                write(cast("BinaryIO", upload))
                upload.finish()
            except BaseException:
                upload.abort()
                raise

    def rename_tree(self, source: str, target: str) -> None:  # noqa: ARG002 (the interface's)
        """Raise: there is no rename."""
        message = f"{self.url}: a directory must be renamed; S3 cannot"
        raise BadSettings(message)

    def remove(self, path: str) -> None:
        """Delete a file; nothing where there is none."""
        with errors_of(path, url=self.url):
            self._client.delete_object(**self._named(path))

    def remove_tree(self, path: str) -> None:
        """Delete all files under a prefix, and the one of that very name."""
        keys = [self._key(file.path) for file in self._below(path)]
        for first in range(0, len(keys), _DELETED_AT_ONCE):
            batch = {"Objects": [{"Key": key} for key in keys[first : first + _DELETED_AT_ONCE]], "Quiet": True}
            with errors_of(path, url=self.url):
                failed = self._client.delete_objects(Bucket=self._bucket, Delete=batch).get("Errors", [])
            if failed:
                kind = PermissionError if failed[0]["Code"] in DENIED else OSError
                raise kind(errno.EIO, f"{failed[0]['Key']}: {failed[0]['Message']}")
        self.remove(path)

    def _key(self, path: str) -> str:
        return self._prefix + path

    def _named(self, path: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._key(path)}

    def _head(self, path: str) -> Any:
        with errors_of(path, url=self.url):
            return self._client.head_object(**self._named(path))

    def _reader(self, path: str) -> RangeReader:
        found = self._head(path)

        def fetch(start: int, size: int) -> bytes:
            with errors_of(path, url=self.url):  # a file that is replaced under its reader is an error
                wanted = {"Range": f"bytes={start}-{start + size - 1}", "IfMatch": found["ETag"]}
                return bytes(self._client.get_object(**self._named(path), **wanted)["Body"].read())

        return RangeReader(int(found["ContentLength"]), fetch)

    def _pages(self, prefix: str, **more: str) -> Iterable[Any]:
        pages: Iterable[Any] = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix, **more
        )
        return pages

    def _below(self, path: str) -> list[StoredFile]:
        folder = f"{self._key(path)}/" if path else self._prefix
        with errors_of(path, url=self.url):
            return [
                StoredFile(entry["Key"].removeprefix(self._prefix), int(entry["Size"]), entry["ETag"].strip('"'))
                for page in self._pages(folder)
                for entry in page.get("Contents", [])
                if not entry["Key"].endswith("/")  # consoles make an empty object of a folder's name
            ]
