"""A new S3 object: one request where it is short, parts where it is long, and a last request that may lose a race."""

from __future__ import annotations

import errno
import io
import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# An object may have 10,000 parts: of 16 MiB, that is 156 GiB. A writer holds one part in memory.
PART_SIZE_BYTES = 16 << 20
_NONCE = "foretable-nonce"
# Answers to the last request that may mean that the name is taken: by another, or by this writer's first try.
_UNSETTLED = {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchUpload"}


class Upload(io.RawIOBase):
    """What is written to it shows when it is finished, unless the name was taken meanwhile."""

    def __init__(self, client: Any, named: dict[str, str]) -> None:
        """Send nothing yet.

        Args:
            client: boto3's.
            named: the bucket and key, as its calls take them.
        """
        self._client, self._named = client, named
        self._metadata = {_NONCE: secrets.token_hex(8)}
        self._buffer = bytearray()
        self._id: str | None = None
        self._parts: list[dict[str, Any]] = []

    def writable(self) -> bool:
        """Whether it can be written: yes."""
        return True

    def write(self, data: ReadableBuffer) -> int:
        """Take all bytes; send those of full parts."""
        view = memoryview(data).cast("B")
        self._buffer += view
        while len(self._buffer) >= PART_SIZE_BYTES:
            self._send_part(bytes(self._buffer[:PART_SIZE_BYTES]))
            del self._buffer[:PART_SIZE_BYTES]
        return len(view)

    def finish(self) -> None:
        """Take the name; raise ``FileExistsError`` where it is taken."""
        from botocore.exceptions import ClientError

        try:
            if self._id is None:
                body = bytes(self._buffer)
                self._client.put_object(**self._named, Body=body, IfNoneMatch="*", Metadata=self._metadata)
                return
            if self._buffer:
                self._send_part(bytes(self._buffer))
            self._client.complete_multipart_upload(
                **self._named, UploadId=self._id, MultipartUpload={"Parts": self._parts}, IfNoneMatch="*"
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in _UNSETTLED:
                raise
            owner = self._owner()
            if owner is None:  # two writers at once, and the other failed, too
                raise
            if owner != self._metadata[_NONCE]:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self._named["Key"]) from error
        self._id = None

    def abort(self) -> None:
        """Give up what was sent; it never showed."""
        if self._id is not None:
            with suppress(Exception):  # the error that led here tells more; the bucket's lifecycle removes the parts
                self._client.abort_multipart_upload(**self._named, UploadId=self._id)

    def _send_part(self, data: bytes) -> None:
        if self._id is None:
            self._id = self._client.create_multipart_upload(**self._named, Metadata=self._metadata)["UploadId"]
        number = len(self._parts) + 1
        sent = self._client.upload_part(**self._named, UploadId=self._id, PartNumber=number, Body=data)
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})

    def _owner(self) -> str | None:
        """Return whose the object is: perhaps ours, since the client repeats a request whose answer was lost."""
        from botocore.exceptions import ClientError

        try:
            return str(self._client.head_object(**self._named)["Metadata"].get(_NONCE))
        except ClientError as error:
            if error.response["Error"]["Code"] == "404":
                return None
            raise
