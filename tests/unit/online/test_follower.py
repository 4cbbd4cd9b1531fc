from __future__ import annotations

import gc
import json
import logging
import weakref
from pathlib import Path

import pytest

from engine.errors import BadArtifact
from engine.manifest import seal
from engine.registry import ModelRegistry, Registry
from online.follower import Follower
from online.holder import Holder
from tests.support.serving import load_both
from tests.support.synthetic import FINITE_NAME, publish_synthetic


class Stage:
    """A server's holder and follower over a registry of one's own, polled by hand."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # Another try at every poll: the next one is due at once.
        config, self.holder = load_both(root, poll_s=1e-9)
        self.follower = Follower(self.holder, config)

    @property
    def models(self) -> ModelRegistry:
        return Registry(str(self.root)).model(FINITE_NAME)

    @property
    def release(self) -> int:
        return self.holder.get(FINITE_NAME).release

    def move(self, release: int) -> None:
        label = self.models.label()
        label.move(release, after=label.head(), reason="test")

    def file(self, path: str) -> Path:
        return self.root / FINITE_NAME / path


@pytest.fixture
def stage(registry: Path) -> Stage:
    return Stage(registry)


def counts(holder: Holder) -> tuple[int, int, bool]:
    return holder.swaps[FINITE_NAME], holder.failures[FINITE_NAME], FINITE_NAME in holder.problems


def test_follows_the_label_there_and_back(stage: Stage) -> None:
    stage.follower.poll()
    assert (stage.release, counts(stage.holder)) == (1, (0, 0, False))
    publish_synthetic(str(stage.root), "uint8")
    stage.follower.poll()
    assert (stage.release, counts(stage.holder)) == (2, (1, 0, False))
    stage.move(1)
    stage.follower.poll()
    assert (stage.release, counts(stage.holder)) == (1, (2, 0, False))


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
    assert "model.float32.tflite: must be" in stage.holder.problems[FINITE_NAME]
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


def test_a_bug_while_loading_is_reported_and_does_not_end_the_following(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    publish_synthetic(str(stage.root), "uint8")
    with monkeypatch.context() as patched:
        patched.setattr("online.follower.load", lambda *_: 1 / 0)
        stage.follower.poll()
    assert (stage.release, counts(stage.holder)) == (1, (0, 1, True))
    assert "Traceback" in caplog.text
    stage.follower.poll()
    assert stage.release == 2


def test_broken_release_is_not_loaded_at_every_poll(registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, holder = load_both(registry, poll_s=1000.0)
    publish_synthetic(str(registry), "uint8")
    loads: list[object] = []

    def fail(*arguments: object) -> None:
        loads.append(arguments)
        message = "cut short"
        raise BadArtifact(message)

    monkeypatch.setattr("online.follower.load", fail)
    follower = Follower(holder, config)
    for _ in range(3):
        follower.poll()
    assert len(loads) == 1
    assert FINITE_NAME in holder.problems  # waiting is not success
