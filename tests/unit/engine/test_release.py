"""Releases: numbered, immutable, and refused when damaged."""

from __future__ import annotations

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from engine.errors import BadArtifact, NotFound
from engine.manifest import new_manifest, seal
from engine.release import Release, create_release, read_release
from engine.storage import Storage, open_storage

RELEASE = Release(
    model="flights",
    bundle="0123456789abcdef",
    bundle_digest="ff" * 32,
    variant="float32",
    codec={"name": "float32", "width": 1},
    table=None,
    gate=[{"check": "golden", "passed": True, "figure": 0.0, "limit": 1e-6}],
    time="2026-01-01T00:00:00Z",
)


@pytest.fixture
def storage() -> Storage:
    return open_storage(f"memory://test-{secrets.token_hex(8)}")


def test_what_was_created_is_read(storage: Storage) -> None:
    created = create_release(storage, "releases", RELEASE, known=0)
    assert created == replace(RELEASE, number=1)
    assert read_release(storage, "releases", 1) == created
    assert storage.names("releases") == ["00000001.json"]


def test_a_number_that_is_taken_is_passed_over(storage: Storage) -> None:
    for number in (1, 2, 3):
        assert create_release(storage, "releases", RELEASE, known=0).number == number
    assert create_release(storage, "releases", RELEASE, known=7).number == 8


def test_each_of_8_publishers_gets_its_own_number(storage: Storage) -> None:
    start = threading.Barrier(8)

    def publish(publisher: int) -> Release:
        start.wait()
        return create_release(storage, "releases", replace(RELEASE, table=f"table {publisher}"), known=0)

    with ThreadPoolExecutor(8) as pool:
        releases = list(pool.map(publish, range(8)))
    assert sorted(release.number for release in releases) == list(range(1, 9))
    for release in releases:
        assert read_release(storage, "releases", release.number) == release


def test_a_number_that_is_not_there(storage: Storage) -> None:
    with pytest.raises(NotFound):
        read_release(storage, "releases", 1)


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        seal(new_manifest("label", 1)),
        seal(new_manifest("release", 2, **RELEASE.__dict__)),
        seal(new_manifest("release", 1, number=1)),
        seal(new_manifest("release", 1, **RELEASE.__dict__, mood="good")),
    ],
)
def test_a_damaged_release_is_refused(storage: Storage, data: bytes) -> None:
    storage.create("releases/00000001.json", data)
    with pytest.raises(BadArtifact, match=r"releases/00000001\.json"):
        read_release(storage, "releases", 1)
