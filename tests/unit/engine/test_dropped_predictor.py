"""What a predictor held comes back when the last reference to it goes, without waiting for the garbage collector."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from engine.errors import DeadlineExceeded, InvalidInput
from engine.predictor import Predictor
from engine.registry import ModelRegistry, Registry
from tests.support.synthetic import FINITE_NAME, publish_synthetic, synthetic_space

ROW = synthetic_space().row(4321)
UNKNOWN = {**ROW, "plan": "nobody's"}  # the model answers it
FAULTY = {**ROW, "city": "Atlantis"}

pytestmark = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Freed must mean freed at once: a cycle would keep a table of gigabytes until some later collection."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def mapped_bytes(scratch: Path) -> int:
    """Bytes of this process's maps of files in a directory, those removed from it too."""
    spans = [line.split()[0] for line in Path("/proc/self/maps").read_text().splitlines() if str(scratch) in line]
    return sum(int(stop, 16) - int(start, 16) for start, stop in (span.split("-") for span in spans))


def descriptors() -> int:
    """How many files this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def use(predictor: Predictor) -> None:
    """Ask by every method, also for what is refused: an error's traceback must not keep what it went through."""
    predictor.predict_row(ROW)
    predictor.predict_rows([ROW, UNKNOWN, FAULTY])
    predictor.predict_rows([UNKNOWN] * 1100)
    with suppress(InvalidInput):
        predictor.predict_row(FAULTY)
    with suppress(DeadlineExceeded):
        predictor.predict_row(UNKNOWN, deadline=time.time() - 1)


def open_used(models: ModelRegistry, scratch: Path) -> Predictor:
    predictor = Predictor.load(models, models.release(models.head("production").release), scratch=str(scratch))
    use(predictor)
    return predictor


@pytest.mark.usefixtures("no_collector")
def test_ten_releases_opened_used_and_dropped_leave_nothing(tmp_path: Path) -> None:
    url = f"file://{tmp_path / 'registry'}"
    publish_synthetic(url)
    models, scratch = Registry(url).model(FINITE_NAME), tmp_path / "scratch"
    scratch.mkdir()
    predictor = open_used(models, scratch)  # what is loaded once for the process is loaded by now
    assert predictor.table is not None
    assert mapped_bytes(scratch) >= predictor.table.size_bytes
    del predictor
    assert mapped_bytes(scratch) == 0
    open_before = descriptors()
    for _ in range(10):
        predictor = open_used(models, scratch)
        held = (predictor, predictor.table, predictor.bundle, predictor._runtime, _interpreter(predictor))
        alive = [weakref.ref(thing) for thing in held]
        del predictor, held
        assert [found for reference in alive if (found := reference()) is not None] == []
        assert mapped_bytes(scratch) == 0
    assert descriptors() == open_before


def _interpreter(predictor: Predictor) -> object:
    """LiteRT's own interpreter of one row, which holds the model's buffers."""
    pool = predictor._runtime._pools[1]
    interpreter = pool.take()
    pool.put(interpreter)
    return interpreter._lite
