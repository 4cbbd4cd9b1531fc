"""The runtime: the same bits in any company, from any thread; and models that are not what they should be."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest

from engine.errors import BadArtifact, DeadlineExceeded
from engine.inputs import Inputs
from engine.interpreter import Interpreter
from engine.runtime import FEW_ROWS, SHAPES, Runtime
from engine.space import FeatureSpace
from tests.support.synthetic import numbers_model, numbers_rows, numbers_space, synthetic_model, synthetic_space
from tests.support.waiting import wait_until

SIZES = [*range(1, 41), 64, 65, 384, 385, 1023, 1024, 1025, 1408, 1409, 3000]
WIDTH = 3


def synthetic_inputs() -> Inputs:
    """3,000 rows of the finite space in a random order."""
    rows = np.random.default_rng(5).permutation(synthetic_space().size)[:3000]
    return synthetic_space().inputs_of(0, synthetic_space().size).take(rows)


def numbers_inputs() -> Inputs:
    encoded = numbers_space().encode_rows(numbers_rows(3000))
    assert not encoded.faults
    return encoded.inputs


MODELS = {
    "synthetic": (synthetic_model, synthetic_space, synthetic_inputs),
    "numbers": (numbers_model, numbers_space, numbers_inputs),
}


class Loaded:
    """A model, 3,000 rows, and the answer to each row asked alone."""

    def __init__(self, name: str) -> None:
        model, space, inputs = MODELS[name]
        self.model, self.space, self.inputs = model(), space(), inputs()
        runtime = Runtime(self.model, self.space, WIDTH)
        alone = [runtime.infer(self.inputs.take(slice(row, row + 1))) for row in range(len(self.inputs))]
        self.alone: npt.NDArray[np.float32] = np.concatenate(alone)


@pytest.fixture(scope="module", params=list(MODELS))
def loaded(request: pytest.FixtureRequest) -> Loaded:
    return Loaded(request.param)


def test_the_answers_differ_by_row(loaded: Loaded) -> None:
    """Else the tests below would prove nothing."""
    assert len(np.unique(loaded.alone, axis=0)) > 2000
    assert np.isfinite(loaded.alone).all()
    assert (loaded.alone[:, 0] > 0).all()
    assert (loaded.alone[:, 0] < 1).all()


def test_batches_of_every_size_give_the_same_bits(loaded: Loaded) -> None:
    runtime = Runtime(loaded.model, loaded.space, WIDTH)
    for size in SIZES:
        values = runtime.infer(loaded.inputs.take(slice(0, size)))
        assert values.dtype == np.float32
        assert values.shape == (size, WIDTH)
        assert values.tobytes() == loaded.alone[:size].tobytes(), size


def test_what_was_asked_before_leaves_no_trace(loaded: Loaded) -> None:
    runtime = Runtime(loaded.model, loaded.space, WIDTH)
    runtime.infer(loaded.inputs)
    for start, stop in ((2900, 2910), (10, 11), (100, 1500), (2999, 3000), (5, 37)):
        values = runtime.infer(loaded.inputs.take(slice(start, stop)))
        assert values.tobytes() == loaded.alone[start:stop].tobytes()


def test_the_company_of_a_row_changes_nothing(loaded: Loaded) -> None:
    order = np.random.default_rng(2).permutation(3000)
    values = Runtime(loaded.model, loaded.space, WIDTH).infer(loaded.inputs.take(order))
    assert values.tobytes() == loaded.alone[order].tobytes()


def test_a_few_rows_joined_give_the_same_bits_and_nobody_waits(loaded: Loaded) -> None:
    runtime = Runtime(loaded.model, loaded.space, WIDTH)
    assert runtime.infer_few(loaded.inputs.take(slice(0, 1))) is None  # none is made yet, which takes long
    runtime.infer(loaded.inputs.take(slice(0, FEW_ROWS)))
    for rows in (1, 3, FEW_ROWS):
        parts = [loaded.inputs.take(slice(row, row + 1)) for row in range(rows)]
        values = runtime.infer_few(Inputs.joined(parts))
        assert values is not None
        assert values.tobytes() == loaded.alone[:rows].tobytes()
    taken = runtime._pools[FEW_ROWS].take()
    assert runtime.infer_few(parts[0]) is None
    runtime._pools[FEW_ROWS].put(taken)
    assert runtime.infer_few(parts[0]) is not None


def test_no_rows(loaded: Loaded) -> None:
    assert Runtime(loaded.model, loaded.space, WIDTH).infer(loaded.inputs.take(slice(0, 0))).shape == (0, WIDTH)


class Watched:
    """Two interpreters a shape on two cores; ``seen`` is told before each batch of the largest shape."""

    def __init__(self, loaded: Loaded, patch: pytest.MonkeyPatch, seen: Callable[[Interpreter], object]) -> None:
        run = Interpreter.run

        def watched(
            interpreter: Interpreter, inputs: Inputs, start: int, stop: int, values: npt.NDArray[np.float32]
        ) -> None:
            seen(interpreter)
            run(interpreter, inputs, start, stop, values)

        patch.setattr("engine.runtime.cores", lambda: 2)
        self.runtime = Runtime(loaded.model, loaded.space, WIDTH, threads=2)
        self.pool = self.runtime._pools[SHAPES[-1]]
        patch.setattr(Interpreter, "run", watched)


def test_an_idle_interpreter_helps_a_caller_of_several_batches(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    used, both = set[Interpreter](), threading.Barrier(2, timeout=60)

    def seen(interpreter: Interpreter) -> None:
        if interpreter not in used:
            used.add(interpreter)
            both.wait()  # for the other's first batch

    runtime = Watched(loaded, monkeypatch, seen).runtime
    assert runtime.infer(loaded.inputs).tobytes() == loaded.alone.tobytes()
    assert len(used) == 2


def test_a_caller_does_without_the_interpreters_that_others_have(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = set[Interpreter]()
    watched = Watched(loaded, monkeypatch, used.add)
    taken = watched.pool.take()
    assert watched.runtime.infer(loaded.inputs).tobytes() == loaded.alone.tobytes()
    assert len(used) == 1
    assert taken not in used


def test_a_helping_interpreter_goes_to_who_waits_for_one(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    helped, got = threading.Event(), threading.Event()

    def wait_for_one() -> None:
        watched.pool.put(watched.pool.take(time.time() + 60))
        got.set()

    def seen(interpreter: Interpreter) -> None:
        if threading.current_thread() is threading.main_thread():
            assert helped.wait(60)  # with its first batch: it would take them all otherwise
            assert got.wait(60)
        elif not helped.is_set():
            threading.Thread(target=wait_for_one).start()
            wait_until(lambda: watched.pool.awaited == 1, what="somebody waits")
            helped.set()

    watched = Watched(loaded, monkeypatch, seen)
    assert watched.runtime.infer(loaded.inputs).tobytes() == loaded.alone.tobytes()


@pytest.mark.parametrize("threads", [1, 3])
def test_8_threads_give_the_same_bits(loaded: Loaded, threads: int) -> None:
    runtime = Runtime(loaded.model, loaded.space, WIDTH, threads=threads)
    pieces = [(start, min(start + size, 3000)) for size in (1, 7, 40, 700, 2000) for start in range(0, 3000, 331)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda piece: runtime.infer(loaded.inputs.take(slice(*piece))), pieces))
    for (start, stop), values in zip(pieces, found, strict=True):
        assert values.tobytes() == loaded.alone[start:stop].tobytes()


def test_interpreters_made_at_once_leave_the_error_output_alone(loaded: Loaded) -> None:
    before = os.fstat(2)
    start = threading.Barrier(8)

    def make(number: int) -> None:
        start.wait()
        for _ in range(10):
            Runtime(loaded.model, loaded.space, WIDTH)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(8)))
    after = os.fstat(2)
    assert (after.st_dev, after.st_ino) == (before.st_dev, before.st_ino)


def test_answers_are_not_overwritten_by_later_ones(loaded: Loaded) -> None:
    runtime = Runtime(loaded.model, loaded.space, WIDTH)
    first = runtime.infer(loaded.inputs.take(slice(0, 5)))
    runtime.infer(loaded.inputs.take(slice(5, 10)))
    assert first.tobytes() == loaded.alone[:5].tobytes()


@pytest.mark.parametrize("data", [b"", b"TFL3", b"no model at all", synthetic_model()[:5000]])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(BadArtifact, match=r"^here/model\.tflite: must "):
        Runtime(data, synthetic_space(), WIDTH, where="here/model.tflite")


def test_a_model_of_another_space_is_refused() -> None:
    with pytest.raises(BadArtifact, match=r"must take \['index'\] and give one output; got \['index', 'number'"):
        Runtime(numbers_model(), synthetic_space(), WIDTH)


def test_a_model_of_another_width_is_refused() -> None:
    with pytest.raises(BadArtifact, match=r"must give values of shape \(1, 2\); got \(1, 3\)"):
        Runtime(synthetic_model(), synthetic_space(), 2)


def test_a_space_with_fewer_features_is_refused() -> None:
    fewer = FeatureSpace(synthetic_space().features[:3])
    with pytest.raises(BadArtifact):
        Runtime(synthetic_model(), fewer, WIDTH)


def test_deadline_ends_the_wait_for_an_interpreter() -> None:
    loaded = Loaded("synthetic")
    runtime = Runtime(loaded.model, loaded.space, WIDTH)
    row = loaded.inputs.take(slice(0, 1))
    taken = runtime._pools[1].take()
    with pytest.raises(DeadlineExceeded):
        runtime.infer(row, deadline=time.time() + 0.01)
    runtime._pools[1].put(taken)
    assert runtime.infer(row, deadline=time.time() + 60).tobytes() == loaded.alone[:1].tobytes()


def test_deadline_ends_a_call_between_batches_of_all_interpreters(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = Loaded("synthetic")
    watched = Watched(loaded, monkeypatch, lambda _: wait_until(lambda: time.time() > deadline, what="it is late"))
    deadline = time.time() + 0.05
    with pytest.raises(DeadlineExceeded):
        watched.runtime.infer(loaded.inputs, deadline=deadline)
    assert watched.pool.take_idle() is not watched.pool.take_idle() is not None
    assert watched.pool.take_idle() is None


def test_deadline_in_the_past_starts_nothing_and_loses_no_interpreter() -> None:
    loaded = Loaded("synthetic")
    runtime = Runtime(loaded.model, loaded.space, WIDTH)
    for _ in range(3):
        with pytest.raises(DeadlineExceeded):
            runtime.infer(loaded.inputs, deadline=time.time() - 1)
    assert runtime.infer(loaded.inputs).tobytes() == loaded.alone.tobytes()
