from __future__ import annotations

import gc
import json
import logging
import weakref
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from engine.errors import BadArtifact, NotFound
from engine.follower import Follower
from engine.manifest import seal
from engine.registry import ModelRegistry, Registry
from online.app import create_app
from online.served import Served, ServedHolder, load
from tests.support.app_client import AppClient
from tests.support.serving import load_both
from tests.support.synthetic import FINITE_NAME, publish_synthetic


class Stage:
    """A server's holder and follower over a registry of one's own, polled by hand."""

    def __init__(self, root: Path, *labels: str) -> None:
        self.root = root
        # Another try at every poll: the next one is due at once.
        self.config, self.holder = load_both(root, poll_s=1e-9, labels=labels or ("production",))
        load_one = partial(load, config=self.config)
        self.follower = Follower(self.holder, Registry(str(root)), load_one, poll_s=self.config.poll_s)

    @property
    def models(self) -> ModelRegistry:
        return Registry(str(self.root)).model(FINITE_NAME)

    @property
    def release(self) -> int:
        return self.holder.get(FINITE_NAME).release

    def move(self, release: int, name: str = "production") -> None:
        label = self.models.label(name)
        label.move(release, after=label.head(), reason="test")

    def file(self, path: str) -> Path:
        return self.root / FINITE_NAME / path


@pytest.fixture
def stage(registry: Path) -> Stage:
    return Stage(registry)


def versions(client: AppClient, place: str) -> list[str]:
    """Return the releases that TensorFlow Serving's status lists."""
    found = client.get(f"/v1/models/{FINITE_NAME}{place}").json
    assert found is not None
    return [each["version"] for each in found["model_version_status"]]


PLACE = (FINITE_NAME, "production")


def counts(holder: ServedHolder) -> tuple[int, int, bool]:
    return holder.swaps[PLACE], holder.failures[PLACE], PLACE in holder.problems


def test_follows_the_label_there_and_back(stage: Stage) -> None:
    stage.follower.poll()
    assert (stage.release, counts(stage.holder)) == (1, (0, 0, False))
    publish_synthetic(str(stage.root), "uint8")
    stage.follower.poll()
    assert (stage.release, counts(stage.holder)) == (2, (1, 0, False))
    stage.move(1)
    stage.follower.poll()
    assert (stage.release, counts(stage.holder)) == (1, (2, 0, False))


def test_follows_several_labels_one_of_which_comes_later(registry: Path) -> None:
    stage = Stage(registry, "production", "canary")
    holder, get = stage.holder, stage.holder.get
    with pytest.raises(NotFound, match="label of 'synthetic' must be one that is served: production; got 'canary'"):
        get(FINITE_NAME, label="canary")
    stage.move(1, "canary")
    stage.follower.poll()
    assert get(FINITE_NAME, label="canary").predictor is get(FINITE_NAME).predictor  # one copy in memory
    publish_synthetic(str(stage.root), "uint8")
    stage.move(2, "canary")
    stage.move(1)
    stage.follower.poll()
    assert (get(FINITE_NAME).release, get(FINITE_NAME, label="canary").release) == (1, 2)
    assert get(FINITE_NAME, version="2").label == "canary"
    with pytest.raises(NotFound, match="version of 'synthetic' must be a release that is served: 1, 2; got '3'"):
        get(FINITE_NAME, version="3")
    assert (holder.swaps[FINITE_NAME, "canary"], holder.swaps[FINITE_NAME, "production"]) == (1, 0)
    with closing(AppClient(create_app(holder, stage.config))) as client:
        assert versions(client, "") == ["1", "2"]
        assert (versions(client, "/labels/canary"), versions(client, "/versions/1")) == (["2"], ["1"])
        page = client.get("/").text
    assert "<option>production</option><option>canary</option>" in page
    for number, label in ((1, "production"), (2, "canary")):
        assert f"{label}: release {number}, made " in page
        assert f'href="v1/models/{FINITE_NAME}/labels/{label}/metadata"' in page


def test_first_label_must_be_there_at_the_start(registry: Path) -> None:
    with pytest.raises(NotFound, match="canary"):
        Stage(registry, "canary", "production")


def test_old_release_is_freed(stage: Stage) -> None:
    old = weakref.ref(stage.holder.get(FINITE_NAME).predictor)
    publish_synthetic(str(stage.root), "uint8")
    stage.follower.poll()
    gc.collect()
    assert old() is None


def test_release_with_a_flipped_byte_is_refused(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    release = publish_synthetic(str(stage.root), "uint8")
    model = stage.file(f"bundles/{release.bundle}/model.float32.tflite")
    good = model.read_bytes()
    model.write_bytes(good[:100] + bytes([good[100] ^ 1]) + good[101:])
    for _ in range(2):
        stage.follower.poll()
    assert (stage.release, counts(stage.holder)) == (1, (0, 2, True))
    assert "model.float32.tflite: must be" in stage.holder.problems[PLACE]
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1  # once, not at every poll
    model.write_bytes(good)
    stage.follower.poll()
    assert (stage.release, counts(stage.holder)) == (2, (1, 2, False))


def test_table_cut_short_is_refused(stage: Stage) -> None:
    release = publish_synthetic(str(stage.root), "uint8")
    shard = stage.file(f"tables/{release.table}/shard-000000.dense")
    shard.write_bytes(shard.read_bytes()[:-100])
    stage.follower.poll()
    assert (stage.release, counts(stage.holder)) == (1, (0, 1, True))


def test_record_that_cannot_be_read_is_never_skipped(stage: Stage) -> None:
    publish_synthetic(str(stage.root), "uint8")
    record = stage.file("labels/production/00000002.json")
    record.write_bytes(record.read_bytes()[:20])
    stage.follower.poll()
    assert (stage.release, counts(stage.holder)) == (1, (0, 1, True))
    good = json.loads(stage.file("labels/production/00000001.json").read_bytes())
    stage.file("labels/production/00000003.json").write_bytes(seal({**good, "number": 3}))
    stage.follower.poll()
    assert (stage.release, counts(stage.holder)) == (1, (0, 1, False))
    stage.move(2)
    stage.follower.poll()
    assert stage.release == 2


def test_a_bug_is_reported_once_and_does_not_end_the_following(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    publish_synthetic(str(stage.root), "uint8")
    with monkeypatch.context() as patched:
        patched.setattr("engine.label.Label.head", lambda *_, **__: 1 / 0)
        stage.follower.poll()
        stage.follower.poll()
    assert (stage.release, counts(stage.holder)) == (1, (0, 2, True))
    assert caplog.text.count("Traceback") == 2  # one a model, not one a poll
    stage.follower.poll()
    assert stage.release == 2


def test_broken_release_is_not_loaded_at_every_poll(registry: Path) -> None:
    config, holder = load_both(registry, poll_s=1000.0)
    publish_synthetic(str(registry), "uint8")
    loads: list[object] = []

    def fail(*arguments: object) -> Served:
        loads.append(arguments)
        message = "cut short"
        raise BadArtifact(message)

    follower = Follower(holder, Registry(str(registry)), fail, poll_s=config.poll_s)
    for _ in range(3):
        follower.poll()
    assert len(loads) == 1
    assert PLACE in holder.problems  # waiting is not success
