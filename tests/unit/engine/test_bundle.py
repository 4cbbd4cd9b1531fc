"""Bundles: written once, read back, and every damaged file named."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.bundle import Bundle, BundleContents, write_bundle
from engine.errors import BadArtifact, BadSettings, NotFound
from engine.manifest import seal
from engine.numeric_class import check_answers, numeric_class
from engine.runtime import Runtime
from engine.storage import Storage, open_storage
from tests.support.synthetic import synthetic_model, synthetic_schema, synthetic_space

ORDINALS = (0, 77, 5000, 14_759)


def contents() -> BundleContents:
    space = synthetic_space()
    rows = [{**space.row(ordinal), "plan": "nobody's"} if ordinal == 77 else space.row(ordinal) for ordinal in ORDINALS]
    runtime = Runtime(synthetic_model(), space, 3)
    return BundleContents(
        model="synthetic",
        space=space,
        schema=synthetic_schema(),
        variants={"float32": synthetic_model()},
        golden_rows=rows,
        golden_answers=runtime.infer(space.encode_rows(rows).inputs),
        metrics={"click.auc": 0.75},
        histogram={},
        limits={},
        time="2026-01-01T00:00:00Z",
    )


@pytest.fixture
def storage() -> Storage:
    return open_storage(f"memory://test-{secrets.token_hex(8)}")


@pytest.fixture
def path(storage: Storage) -> str:
    return f"b/{write_bundle(storage, 'b', contents())}"


def rewrite(storage: Storage, path: str, data: bytes) -> None:
    storage.remove_tree(path)
    storage.create(path, data)


def flip(storage: Storage, path: str, place: int) -> None:
    data = bytearray(storage.read(path))
    data[place] ^= 1
    rewrite(storage, path, bytes(data))


def test_what_was_written_is_read(storage: Storage, path: str) -> None:
    bundle = Bundle(storage, path)
    assert path == f"b/{bundle.identity}"
    assert len(bundle.identity) == 16
    assert bundle.digest.startswith(bundle.identity)
    assert (bundle.model, bundle.time) == ("synthetic", "2026-01-01T00:00:00Z")
    assert bundle.space.fingerprint == synthetic_space().fingerprint
    assert bundle.schema.outputs == synthetic_schema().outputs
    assert bundle.file("model.float32.tflite") == synthetic_model()
    assert bundle.manifest["metrics"] == {"click.auc": 0.75}
    rows, answers = bundle.golden_rows()
    assert rows == contents().golden_rows
    assert answers.tobytes() == contents().golden_answers.tobytes()
    inputs, again = bundle.golden()
    assert len(inputs) == 4
    assert bundle.runtime().infer(inputs).tobytes() == again.tobytes()
    assert bundle.check_numeric_class(bundle.runtime()) == bundle.numeric_class


def test_the_same_contents_have_the_same_id(storage: Storage, path: str) -> None:
    assert write_bundle(storage, "b", contents()) == path.removeprefix("b/")
    assert storage.names("b") == [path.removeprefix("b/")]


@pytest.mark.parametrize(
    "change",
    [
        {"time": "2026-01-02T00:00:00Z"},
        {"metrics": {}},
        {"training": {"run": "7"}},
        {"golden_rows": [], "golden_answers": np.zeros((0, 3), np.float32)},
    ],
)
def test_other_contents_have_another_id(storage: Storage, path: str, change: dict[str, Any]) -> None:
    assert write_bundle(storage, "b", replace(contents(), **change)) != path.removeprefix("b/")


class Recording(Storage):
    """Notes the order of writes, and dies before one of them."""

    written: list[str]
    dies_at: int

    def create(self, path: str, data: bytes) -> None:
        if len(self.written) == self.dies_at:
            message = "power cut"
            raise RuntimeError(message)
        super().create(path, data)
        self.written.append(path.rpartition("/")[2])


@pytest.mark.parametrize("dies_at", [0, 1, 2])
def test_the_manifest_is_last_and_a_rerun_finishes(storage: Storage, dies_at: int) -> None:
    dying = Recording(storage.url)
    dying.written, dying.dies_at = [], dies_at
    with pytest.raises(RuntimeError, match="power cut"):
        write_bundle(dying, "b", contents())
    for name in storage.names("b"):
        with pytest.raises(NotFound):
            Bundle(storage, f"b/{name}")
    dying.dies_at = 9
    identity = write_bundle(dying, "b", contents())
    assert dying.written[-1] == "manifest.json"
    assert Bundle(storage, f"b/{identity}").file("golden.json")


@pytest.mark.parametrize("name", ["model.float32.tflite", "golden.json"])
@pytest.mark.parametrize("place", [0, 1000, -1])
def test_a_flipped_byte_names_its_file(storage: Storage, path: str, name: str, place: int) -> None:
    size = storage.size(f"{path}/{name}")
    flip(storage, f"{path}/{name}", min(place, size - 1))
    bundle = Bundle(storage, path)
    with pytest.raises(BadArtifact, match=rf"^{path}/{name}: must be {size} bytes of SHA-256 .*damaged"):
        bundle.runtime() if name.startswith("model") else bundle.golden()


def test_a_file_cut_short_names_itself(storage: Storage, path: str) -> None:
    rewrite(storage, f"{path}/model.float32.tflite", synthetic_model()[:-1])
    with pytest.raises(BadArtifact, match=rf"model.float32.tflite: must be .* got {len(synthetic_model()) - 1} bytes"):
        Bundle(storage, path).runtime()


def test_every_flipped_byte_of_the_manifest_names_it(storage: Storage, path: str) -> None:
    where = f"{path}/manifest.json"
    whole = storage.read(where)
    for place in range(0, len(whole), 7):
        data = bytearray(whole)
        data[place] ^= 1
        rewrite(storage, where, bytes(data))
        with pytest.raises(BadArtifact, match=f"^{where}: must"):
            Bundle(storage, path)


def test_a_later_format_version_is_refused(storage: Storage, path: str) -> None:
    fields = json.loads(storage.read(f"{path}/manifest.json"))
    fields["format"]["version"] = 2
    rewrite(storage, f"{path}/manifest.json", seal(fields))
    with pytest.raises(BadArtifact, match=r"bundle format version 1; got 2\. .*upgrade"):
        Bundle(storage, path)


def test_a_bundle_in_another_s_place_is_refused(storage: Storage, path: str) -> None:
    storage.create("b/0123456789abcdef/manifest.json", storage.read(f"{path}/manifest.json"))
    with pytest.raises(BadArtifact, match="must have a SHA-256 that begins with 0123456789abcdef"):
        Bundle(storage, "b/0123456789abcdef")


def test_an_unknown_variant_lists_the_known(storage: Storage, path: str) -> None:
    with pytest.raises(BadSettings, match="must be one of float32; got 'int8'"):
        Bundle(storage, path).runtime("int8")


def test_a_model_that_answers_otherwise_is_refused(storage: Storage) -> None:
    good = contents()
    off = replace(good, golden_answers=good.golden_answers + np.float32(1e-4))
    bundle = Bundle(storage, f"b/{write_bundle(storage, 'b', off)}")
    with pytest.raises(BadArtifact, match=r"golden row .* must answer"):
        bundle.check_numeric_class(bundle.runtime())


def test_another_cpu_may_round_otherwise(storage: Storage) -> None:
    good = contents()
    other = np.nextafter(good.golden_answers, np.float32(2))
    bundle = Bundle(storage, f"b/{write_bundle(storage, 'b', replace(good, golden_answers=other))}")
    assert bundle.numeric_class == numeric_class(other)
    assert bundle.check_numeric_class(bundle.runtime()) == numeric_class(good.golden_answers) != bundle.numeric_class


def test_a_golden_row_that_does_not_encode_is_refused(storage: Storage) -> None:
    good = contents()
    rows = [{**good.golden_rows[0], "city": "Atlantis"}, *good.golden_rows[1:]]
    bundle = Bundle(storage, f"b/{write_bundle(storage, 'b', replace(good, golden_rows=rows))}")
    with pytest.raises(BadArtifact, match=r"golden\.json: feature 'city' must be one of"):
        bundle.golden()


@pytest.mark.parametrize(
    "found, same_class, fine",
    [
        (1.0, True, True),
        (1.0000001, True, False),
        (1.0000005, False, True),
        (1.00001, False, False),
        (float("nan"), False, False),
    ],
)
def test_answers_are_held_to_their_class(found: float, same_class: bool, fine: bool) -> None:
    wanted, answer = np.array([[0.5], [1.0]], np.float32), np.array([[0.5], [found]], np.float32)
    if fine:
        check_answers(answer, wanted, where="x", same_class=same_class)
    else:
        with pytest.raises(BadArtifact, match=r"^x: golden row 1 must answer \[1.0\]"):
            check_answers(answer, wanted, where="x", same_class=same_class)
