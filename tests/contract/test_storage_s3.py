"""What every storage keeps, on S3: real requests to a server of this process."""

from __future__ import annotations

import os
import secrets
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import boto3
import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from engine.errors import BadSettings, Unavailable
from engine.storage import Storage, open_storage
from services.ports import reserve_ports
from tests.contract.storage_suite import LARGE_SIZE_BYTES, BetweenProcesses, StorageContract
from tests.support.s3 import running_s3


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with running_s3() as url:
        yield url


class TestS3(BetweenProcesses, StorageContract):
    @pytest.fixture
    def storage(self, bucket: str) -> Storage:
        return open_storage(f"{bucket}/{secrets.token_hex(8)}/root")

    def test_a_whole_bucket_is_a_root(self, storage: Storage, bucket: str) -> None:
        storage.create("file", b"1")
        root = open_storage(bucket)
        path = f"{storage.url.removeprefix(f'{bucket}/')}/file"
        assert root.url == bucket
        assert root.read(path) == b"1"
        assert path in [file.path for file in root.walk()]

    def test_a_name_can_lead_to_others_and_be_a_file(self, storage: Storage) -> None:
        storage.create("a/b", b"1")
        assert not storage.exists("a")
        storage.create("a", b"2")
        assert (storage.read("a"), storage.read("a/b"), storage.names("a")) == (b"2", b"1", ["b"])
        storage.remove_tree("a")
        assert storage.walk() == []

    def test_there_is_no_rename(self, storage: Storage) -> None:
        storage.create("new/1", b"1")
        assert not storage.can_rename_trees
        with pytest.raises(BadSettings, match="cannot rename a directory: write the files under their names"):
            storage.rename_tree("new", "target")
        assert [file.path for file in storage.walk()] == ["new/1"]

    def test_a_writer_that_fails_leaves_no_parts(self, storage: Storage) -> None:
        def write(file: object) -> None:
            file.write(bytes(LARGE_SIZE_BYTES))  # type: ignore[attr-defined]
            assert parts(storage) == 1
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            storage.create_with("a/large", write)
        assert parts(storage) == 0

    def test_a_folder_that_a_console_made_is_no_file(self, storage: Storage) -> None:
        bucket, prefix = storage.url.removeprefix("s3://").split("/", 1)
        boto3.client("s3").put_object(Bucket=bucket, Key=f"{prefix}/a/", Body=b"")
        storage.create("a/file", b"1")
        assert (storage.names(), storage.names("a")) == (["a"], ["file"])
        assert [file.path for file in storage.walk()] == ["a/file"]

    def test_listings_of_more_than_a_page(self, storage: Storage) -> None:
        bucket, prefix = storage.url.removeprefix("s3://").split("/", 1)
        backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]  # 1,001 requests would take 12 s
        for number in range(1_001):
            backend.put_object(bucket, f"{prefix}/a/{number:04d}", b"")
        assert storage.names("a") == [f"{number:04d}" for number in range(1_001)]
        assert len(storage.walk()) == 1_001
        storage.remove_tree("a")
        assert storage.walk() == []

    def test_a_request_that_is_repeated_wins_against_itself(self, storage: Storage) -> None:
        client = storage._store._client  # type: ignore[attr-defined]
        for name, call, data in (
            ("short", "put_object", b"1"),
            ("large", "complete_multipart_upload", bytes(LARGE_SIZE_BYTES)),
        ):
            real = getattr(client, call)

            def twice(real: Callable[..., object] = real, **arguments: object) -> object:
                real(**arguments)  # its answer is lost on the way
                return real(**arguments)

            setattr(client, call, twice)
            storage.create(name, data)
            assert storage.size(name) == len(data)

    def test_a_file_that_is_replaced_under_its_reader(self, storage: Storage) -> None:
        storage.create("file", b"first")
        with storage.open_input("file") as file:
            assert file.read(2) == b"fi"
            storage.remove("file")
            storage.create("file", b"other")
            with pytest.raises(OSError, match="PreconditionFailed"):
                file.read(2)


def parts(storage: Storage) -> int:
    bucket, prefix = storage.url.removeprefix("s3://").split("/", 1)
    found = boto3.client("s3").list_multipart_uploads(Bucket=bucket, Prefix=prefix)
    return len(found.get("Uploads", []))


CALLS: list[Callable[[Storage], object]] = [
    lambda storage: storage.read("a/file"),
    lambda storage: storage.exists("a/file"),
    lambda storage: storage.names("a"),
    lambda storage: storage.walk("a"),
    lambda storage: storage.create("a/other", b""),
    lambda storage: storage.remove_tree("a"),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_server_that_is_down_may_be_tried_again(call: Callable[[Storage], object], closed: None) -> None:
    with pytest.raises(Unavailable, match=r"s3://bucket/x/a.*: Could not connect to the endpoint URL.*Try again"):
        call(open_storage("s3://bucket/x"))


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = reserve_ports(["closed"]).values()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


def test_a_bucket_that_does_not_exist_is_the_settings_matter(bucket: str) -> None:
    storage = open_storage(f"{bucket}-of-nobody/x")
    for call in (storage.names, lambda: storage.create("a", b"")):
        with pytest.raises(BadSettings, match="the bucket must exist; it does not"):
            call()


def test_what_is_denied_is_the_deployment_s_matter(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    open_storage(f"{bucket}/denied").create("a/file", b"1")
    iam = boto3.client("iam")
    iam.create_user(UserName="mallory")
    key = iam.create_access_key(UserName="mallory")["AccessKey"]
    with authorized(os.environ["AWS_ENDPOINT_URL"]):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        storage = open_storage(f"{bucket}/denied")
        for call in CALLS:
            with pytest.raises(BadSettings, match=r"permission denied\. Grant it"):
                call(storage)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANOBODY")
        with pytest.raises(BadSettings, match="must have valid credentials; got InvalidAccessKeyId"):
            open_storage(f"{bucket}/denied").read("a/file")


@contextmanager
def authorized(endpoint: str) -> Iterator[None]:
    """Have the server ask who may do what, from the first request on."""

    def ask_after(requests: str) -> None:
        headers = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{endpoint}/moto-api/reset-auth", data=requests.encode(), headers=headers)
        urllib.request.urlopen(request).close()

    ask_after("0")
    try:
        yield
    finally:
        ask_after("inf")


@pytest.mark.parametrize("url", ["s3://", "s3:///path", "s3://no bucket/x"])
def test_a_wrong_url_says_what_is_right(url: str, bucket: str) -> None:
    with pytest.raises(BadSettings, match="must be s3://bucket/prefix"):
        open_storage(url).names()


def test_no_credentials(monkeypatch: pytest.MonkeyPatch, closed: None) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(BadSettings, match=r"must have credentials; got: Unable to locate credentials\. Set AWS_ACCESS"):
        open_storage("s3://bucket/x").read("file")
