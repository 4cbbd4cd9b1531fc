"""The registry: names, listings and what they leave out."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest

from engine.errors import BadSettings, NotFound
from engine.registry import ModelRegistry, Registry
from tests.support.synthetic import publish_numbers, publish_synthetic


@pytest.fixture
def url() -> str:
    return f"memory://test-{secrets.token_hex(8)}"


@pytest.fixture
def models(url: str) -> ModelRegistry:
    publish_synthetic(url, with_table=False)
    return Registry(url).model("synthetic")


def test_an_empty_registry(url: str) -> None:
    registry = Registry(url)
    models = registry.model("flights")
    assert registry.models() == models.bundles() == models.tables() == models.labels() == []
    assert models.releases() == []
    assert models.label().head() is None
    with pytest.raises(NotFound, match="must be one of none yet: train first; got 'abc'"):
        models.bundle("abc")
    with pytest.raises(NotFound, match="has no bundle yet: train it first"):
        models.newest_bundle()
    with pytest.raises(NotFound, match="must be one of none yet: publish first; got 1"):
        models.release(1)


def test_what_was_published_is_listed(url: str, models: ModelRegistry) -> None:
    publish_numbers(url)
    assert Registry(url).models() == ["numbers", "synthetic"]
    (bundle,) = models.bundles()
    assert models.bundle(bundle).identity == models.bundle(bundle[:3]).identity == bundle
    assert models.newest_bundle().identity == bundle
    assert models.releases() == [1]
    assert models.release(1).bundle == bundle
    assert models.labels() == ["production"]
    head = models.label().head()
    assert head is not None
    assert head.release == 1


@pytest.mark.parametrize("name", ["", "Flights", "1st", "a/b", "..", ".", "a b", "a" * 64, "caf\u00e9", "a\n"])
def test_a_wrong_name_is_refused(url: str, name: str) -> None:
    with pytest.raises(BadSettings, match="a model's name must be lower-case"):
        Registry(url).model(name)


@pytest.mark.parametrize("identity", ["", "zz", "../synthetic"])
def test_a_bundle_that_is_not_there_lists_what_is(models: ModelRegistry, identity: str) -> None:
    with pytest.raises(NotFound, match=f"must be one of {models.bundles()[0]}; got"):
        models.bundle(identity)


def test_a_beginning_that_two_bundles_have_is_refused(models: ModelRegistry) -> None:
    identity = models.bundles()[0]
    twin = identity[:15] + ("0" if identity[15] != "0" else "1")
    models.storage.create(f"synthetic/bundles/{twin}/manifest.json", b"{}")
    with pytest.raises(NotFound, match=f"must be one of .*; got '{identity[:15]}'"):
        models.bundle(identity[:15])
    assert models.bundle(identity).identity == identity


def test_unfinished_bundles_and_tables_are_not_listed(models: ModelRegistry) -> None:
    (bundle,) = models.bundles()
    models.storage.create("synthetic/bundles/0000000000000000/golden.json", b"{}")
    models.storage.create("synthetic/tables/unfinished/shard-000000.dense", b"")
    models.storage.create("synthetic/tables/finished/manifest.json", b"")
    assert models.bundles() == [bundle]
    assert models.tables() == ["finished"]


def test_releases_are_numbered_on(models: ModelRegistry) -> None:
    first = models.release(1)
    numbers = [models.create_release(replace(first, gate=[])).number for _ in range(11)]
    assert numbers == list(range(2, 13))
    assert models.releases() == list(range(1, 13))
    models.storage.create("synthetic/releases/notes.txt", b"")
    assert models.releases() == list(range(1, 13))
    with pytest.raises(NotFound, match=r"must be one of 1, 2, 3, .*12; got 13"):
        models.release(13)
