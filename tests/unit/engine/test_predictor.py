"""The predictor: the same bytes by every method, from table and model alike, and what happens when a part fails."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from engine.answer import Source
from engine.errors import BadArtifact, DeadlineExceeded, EngineBug, InvalidInput, NotFound
from engine.inputs import Inputs
from engine.output import OutputSchema
from engine.predictor import Predictor
from engine.registry import ModelRegistry, Registry
from engine.runtime import Runtime
from engine.space import FeatureSpace
from engine.storage import open_storage
from tests.support.synthetic import (
    numbers_model,
    numbers_rows,
    numbers_space,
    publish_numbers,
    publish_synthetic,
    synthetic_model,
    synthetic_space,
)

SPACE = synthetic_space()
CODECS = ["float32", "float16", "uint8"]
WHOLE = SPACE.row(4321)
UNKNOWN: dict[str, Any] = {**WHOLE, "plan": "nobody's"}  # valid, and not in the table
FAULTY: dict[str, Any] = {**WHOLE, "city": "Atlantis"}


class Published:
    """A registry with one release of ``synthetic`` and the answers that its model gives, before the codec."""

    def __init__(self, codec: str) -> None:
        self.codec = codec
        self.url = f"memory://test-{secrets.token_hex(8)}"
        self.release = publish_synthetic(self.url, codec)
        self.models: ModelRegistry = Registry(self.url).model("synthetic")

    def open(self) -> Predictor:
        return Predictor.open(self.url, "synthetic")

    def without_table(self) -> Predictor:
        return Predictor.load(self.models, replace(self.release, table=None))


@pytest.fixture(scope="module", params=CODECS)
def published(request: pytest.FixtureRequest) -> Iterator[Published]:
    made = Published(request.param)
    yield made
    open_storage(made.url).remove_tree("synthetic")


@pytest.fixture
def predictor(published: Published) -> Predictor:
    return published.open()


def wanted(space: FeatureSpace, model: bytes, rows: list[dict[str, Any]], codec: str) -> npt.NDArray[np.float32]:
    """Answers by the bare model; of float16 as numpy rounds, of uint8 the nearest of 256, computed here in float64."""
    raw = Runtime(model, space, 3).infer(space.encode_rows(rows).inputs)
    if codec == "float32":
        return raw
    if codec == "float16":
        return raw.astype(np.float16).astype(np.float32)
    low, high = np.array([0.0, -1.0, -1.0]), np.array([1.0, 1.0, 1.0])
    steps = np.clip(np.round((raw - low) / (high - low) * 255), 0, 255)
    nearest: npt.NDArray[np.float32] = (low + (high - low) * steps / 255).astype(np.float32)
    return nearest


def by_every_method(predictor: Predictor, rows: list[dict[str, Any]]) -> dict[str, bytes]:
    """The answers to the rows as bytes, by method."""
    single = [predictor.predict_row(row).values for row in rows]
    table = pa.table({name: [str(row[name]) for row in rows] for name in predictor.space.names})
    encoded = predictor.space.encode_rows(rows)
    return {
        "predict_row": np.array(single, np.float32).tobytes(),
        "predict": predictor.predict(table).values.tobytes(),
        "predict_rows": predictor.predict_rows(rows).values.tobytes(),
        "answer": predictor.answer(encoded).values.tobytes(),
        "infer": predictor.infer(encoded.inputs).tobytes(),
    }


def test_every_method_gives_the_same_bytes(published: Published, predictor: Predictor) -> None:
    ordinals = np.random.default_rng(3).integers(0, SPACE.size, 300).tolist()
    rows: list[dict[str, Any]] = [SPACE.row(ordinal) for ordinal in [0, *ordinals, SPACE.size - 1]]
    rows[7] = {**rows[7], "plan": "nobody's"}
    rows[9] = {**rows[9], "size": "huge"}  # has a slot in the table
    expected = wanted(SPACE, synthetic_model(), rows, published.codec)
    assert len(np.unique(expected, axis=0)) > 100
    for loaded in (predictor, published.without_table()):
        for method, data in by_every_method(loaded, rows).items():
            assert data == expected.tobytes(), method
    hits = [row for number, row in enumerate(rows) if number != 7]
    looked_up = [predictor.lookup(row) for row in hits]
    assert [answer.values if answer else None for answer in looked_up] == [
        tuple(values) for values in np.delete(expected, 7, axis=0).tolist()
    ]
    assert predictor.lookup(rows[7]) is None


def test_table_and_model_agree_on_the_whole_space(predictor: Predictor) -> None:
    assert predictor.table is not None
    values, hit = predictor.table.lookup(np.arange(SPACE.size))
    assert hit.all()
    assert values.tobytes() == predictor.infer(SPACE.inputs_of(0, SPACE.size)).tobytes()


def test_the_source_is_told(published: Published, predictor: Predictor) -> None:
    assert predictor.predict_row(WHOLE).source is Source.TABLE
    assert predictor.predict_row(UNKNOWN).source is Source.MODEL
    answers = predictor.predict_rows([WHOLE, UNKNOWN, FAULTY])
    assert answers.source.tolist() == [Source.TABLE, Source.MODEL, Source.NONE]
    bare = published.without_table()
    assert bare.table is None
    assert bare.lookup(WHOLE) is None
    assert bare.predict_row(WHOLE).source is Source.MODEL
    assert bare.predict_rows([WHOLE, UNKNOWN, FAULTY]).source.tolist() == [Source.MODEL, Source.MODEL, Source.NONE]


def test_a_bad_row_is_a_fault_of_that_row_alone(predictor: Predictor) -> None:
    rows = [WHOLE, FAULTY, UNKNOWN, {**WHOLE, "age": None}, WHOLE]
    answers = predictor.predict_rows(rows)
    assert {row: fault.cause for row, fault in answers.faults.items()} == {1: "unknown_category", 3: "null"}
    assert np.isnan(answers.values).all(axis=1).tolist() == [False, True, False, True, False]
    assert tuple(answers.values[0].tolist()) == predictor.predict_row(WHOLE).values
    for call in (predictor.predict_row, predictor.lookup):
        with pytest.raises(InvalidInput, match="'city' must be one of"):
            call(FAULTY)
    table = pa.table({name: [str(WHOLE[name]), None] for name in SPACE.names})
    assert list(predictor.predict(table).faults) == [1]


def test_no_rows(predictor: Predictor) -> None:
    answers = predictor.predict_rows([])
    assert answers.values.shape == (0, 3)
    assert answers.source.shape == (0,)


def test_only_bad_rows(predictor: Predictor) -> None:
    answers = predictor.predict_rows([FAULTY, {}])
    assert np.isnan(answers.values).all()
    assert set(answers.faults) == {0, 1}


@pytest.mark.parametrize("codec", CODECS)
def test_a_corrupt_block_is_answered_by_the_model(codec: str) -> None:
    published = Published(codec)
    sound = published.without_table()
    storage, path = published.models.storage, published.models.table_path(published.release.table or "")
    (shard, *_) = [name for name in storage.names(path) if name.endswith(".dense")]
    data = bytearray(storage.read(f"{path}/{shard}"))
    data[64] ^= 0x40
    storage.remove_tree(f"{path}/{shard}")
    storage.create(f"{path}/{shard}", bytes(data))
    rows: list[dict[str, Any]] = [SPACE.row(ordinal) for ordinal in (0, 1, SPACE.size - 1)]
    predictor = published.open()
    assert predictor.table is not None
    assert predictor.predict_row(rows[0]).source is Source.MODEL
    assert predictor.lookup(rows[0]) is None
    answers = predictor.predict_rows(rows)
    assert answers.source.tolist() == [Source.MODEL, Source.MODEL, Source.TABLE]
    assert not answers.faults
    assert set(by_every_method(predictor, rows).values()) == {sound.predict_rows(rows).values.tobytes()}
    assert predictor.table.corrupt_blocks == 1


def test_8_threads_give_the_same_bytes(published: Published) -> None:
    predictor = published.open()
    rows: list[dict[str, Any]] = [{**SPACE.row(number * 7), "plan": "nobody's"} for number in range(40)]
    rows += [SPACE.row(number) for number in range(40)]
    expected = wanted(SPACE, synthetic_model(), rows, published.codec).tobytes()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: predictor.predict_rows(rows).values.tobytes(), range(32)))
    assert set(found) == {expected}


@pytest.mark.parametrize("codec", CODECS)
def test_a_space_that_is_not_finite_is_answered_by_the_model(codec: str) -> None:
    url = f"memory://test-{secrets.token_hex(8)}"
    publish_numbers(url, codec)
    predictor = Predictor.open(url, "numbers")
    rows = numbers_rows(50, seed=9)
    expected = wanted(numbers_space(), numbers_model(), rows, codec)
    assert predictor.predict_rows(rows).values.tobytes() == expected.tobytes()
    assert np.array([predictor.predict_row(row).values for row in rows], np.float32).tobytes() == expected.tobytes()
    assert predictor.predict(pa.Table.from_pylist(rows)).values.tobytes() == expected.tobytes()
    assert set(predictor.predict_rows(rows).source.tolist()) == {Source.MODEL}
    assert predictor.lookup(rows[0]) is None


class Overflowing:
    """Answers like the runtime, but for one row too much: an infinity, or what a codec cannot store."""

    def __init__(self, runtime: Runtime, bad: Mapping[str, object], answer: float = np.inf) -> None:
        self.runtime, self.bad, self.answer = runtime, SPACE.encode_row(bad).index[:, 0].tolist(), answer

    def infer(self, inputs: Inputs, *, deadline: float | None = None) -> npt.NDArray[np.float32]:
        values = self.runtime.infer(inputs, deadline=deadline)
        bad_rows = np.equal(inputs.index.T, self.bad).all(axis=1)
        values[bad_rows, 1] = self.answer
        return values


def test_an_answer_that_is_not_finite_is_a_fault(published: Published) -> None:
    predictor = published.open()
    other = {**UNKNOWN, "city": "city 3"}
    expected = predictor.predict_row(other).values
    predictor._runtime = Overflowing(predictor._runtime, UNKNOWN)  # type: ignore[assignment]
    answers = predictor.predict_rows([WHOLE, UNKNOWN, other])
    assert {row: fault.cause for row, fault in answers.faults.items()} == {1: "model_not_finite"}
    assert answers.source.tolist() == [Source.TABLE, Source.NONE, Source.MODEL]
    assert np.isnan(answers.values[1]).all()
    assert tuple(answers.values[2].tolist()) == expected
    with pytest.raises(InvalidInput) as caught:
        predictor.predict_row(UNKNOWN)
    assert caught.value.cause == "model_not_finite"


def test_an_answer_that_the_codec_cannot_store_is_a_fault_of_its_row_alone() -> None:
    predictor = Published("float16").without_table()
    expected = predictor.predict_row(WHOLE).values
    predictor._runtime = Overflowing(predictor._runtime, UNKNOWN, 1e6)  # type: ignore[assignment]
    answers = predictor.predict_rows([WHOLE, UNKNOWN])
    assert {row: fault.cause for row, fault in answers.faults.items()} == {1: "model_overflows_codec"}
    assert "1000000.0" in str(answers.faults[1])
    assert tuple(answers.values[0].tolist()) == expected
    with pytest.raises(InvalidInput) as caught:
        predictor.predict_row(UNKNOWN)
    assert caught.value.cause == "model_overflows_codec"


def test_a_release_is_opened_by_label_or_number(published: Published) -> None:
    assert Predictor.open(published.url, "synthetic", release=1).release == published.release
    with pytest.raises(NotFound, match="must be one of production; got 'staging'"):
        Predictor.open(published.url, "synthetic", label="staging")
    with pytest.raises(NotFound, match="must be one of synthetic; got 'nothing'"):
        Predictor.open(published.url, "nothing")
    with pytest.raises(NotFound, match="must be one of 1; got 2"):
        Predictor.open(published.url, "synthetic", release=2)


def test_parts_that_do_not_belong_together_are_refused(published: Published) -> None:
    release = published.release
    with pytest.raises(BadArtifact, match="must have the digest 0000"):
        Predictor.load(published.models, replace(release, bundle_digest="0" * 64))
    other = {"name": "float32", "width": 9 if published.codec == "float32" else 3}
    with pytest.raises(BadArtifact, match=r"must be of bundle .*Precompute it again"):
        Predictor.load(published.models, replace(release, codec=other))


def test_answers_are_floats_that_json_prints_and_reads_back(predictor: Predictor) -> None:
    for row in (WHOLE, UNKNOWN):
        values = predictor.predict_row(row).values
        assert all(type(value) is float for value in values)
        again = np.array(json.loads(json.dumps(values)), np.float32)
        assert again.tobytes() == np.array(values, np.float32).tobytes()


def test_the_words_of_the_sources() -> None:
    assert [source.text for source in Source] == ["none", "table", "model", "default"]


def test_default_stands_in_after_the_codec(published: Published) -> None:
    predictor = published.open()
    assert predictor.default is None
    with pytest.raises(EngineBug):
        predictor.defaults(1)
    declared = [replace(output, default=0.3) for output in predictor.schema.outputs]
    predictor.bundle.schema = OutputSchema(declared)
    other = Predictor(predictor.release, predictor.bundle, predictor._runtime, None, numeric_class="")
    found = other.defaults(2)
    wanted = other.codec.decode(other.codec.encode(np.full((2, 3), 0.3, np.float32)))
    assert found.values.tobytes() == wanted.tobytes()
    assert found.source.tolist() == [Source.DEFAULT] * 2


def test_deadline_holds_for_the_model_and_not_for_the_table(published: Published) -> None:
    predictor, past = published.open(), time.time() - 1
    assert predictor.predict_row(WHOLE, deadline=past).source == Source.TABLE
    assert predictor.predict_rows([WHOLE, WHOLE], deadline=past).source.tolist() == [Source.TABLE] * 2
    for ask in (
        lambda: predictor.predict_row(UNKNOWN, deadline=past),
        lambda: predictor.predict_rows([WHOLE, UNKNOWN], deadline=past),
        lambda: predictor.predict(pa.Table.from_pylist([UNKNOWN]), deadline=past),
    ):
        with pytest.raises(DeadlineExceeded):
            ask()


class Counting:
    """A runtime that notes how many rows it is given."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime, self.rows = runtime, 0

    def infer(self, inputs: Inputs, *, deadline: float | None = None) -> npt.NDArray[np.float32]:
        self.rows += len(inputs)
        return self.runtime.infer(inputs, deadline=deadline)


@pytest.mark.parametrize("finite", [True, False])
def test_repeated_rows_of_a_batch_are_inferred_once(
    published: Published, finite: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if finite:
        predictor = published.without_table()
        different: list[dict[str, Any]] = [dict(SPACE.row(7 * number)) for number in range(700)]
        different[0] = UNKNOWN
    else:
        predictor = Predictor.load(Registry(published.url).model("numbers"), publish_numbers(published.url))
        open_storage(published.url).remove_tree("numbers")
        different = numbers_rows(700)
    encoded = predictor.space.encode_rows([different[number % 700] for number in range(1400)])
    alone = predictor.infer(predictor.space.encode_rows(different).inputs)
    counting = Counting(predictor._runtime)
    monkeypatch.setattr(predictor, "_runtime", counting)
    answers = predictor.answer(encoded)
    assert counting.rows == 700
    assert answers.values.tobytes() == np.concatenate([alone, alone]).tobytes()
    assert set(answers.source.tolist()) == {Source.MODEL}
