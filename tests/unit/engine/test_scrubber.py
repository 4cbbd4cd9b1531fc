"""The scrubber, over a table whose file rots after its blocks were found good."""

from __future__ import annotations

import gc
import weakref
from functools import partial
from pathlib import Path

import pytest

from engine.answer import Source
from engine.follower import Follower
from engine.registry import Registry
from engine.scrubber import Scrubber
from engine.table import DenseTable
from online.served import ServedHolder, load
from tests.support.serving import load_both
from tests.support.synthetic import FINITE_NAME, publish_synthetic
from tests.support.waiting import wait_until


@pytest.fixture
def holder(registry: Path) -> ServedHolder:
    return load_both(registry)[1]


def test_block_that_rots_is_found_and_answered_by_the_model(
    holder: ServedHolder, registry: Path, tmp_path: Path
) -> None:
    predictor = holder.get(FINITE_NAME).predictor
    models = Registry(str(registry)).model(FINITE_NAME)
    shared = tmp_path / "shared"
    # A copy that has a name, so that the test can write to it.
    predictor.table = DenseTable.open(
        models.storage, models.table_path(predictor.release.table or ""), shared=str(shared)
    )
    row = predictor.space.row(0)
    wanted = predictor.predict_row(row)
    assert wanted.source is Source.TABLE
    (copy,) = [
        file for file in shared.rglob("*") if file.is_file() and file.stat().st_size >= predictor.table.size_bytes
    ]
    scrubber = Scrubber(holder, pass_s=0.001)
    with copy.open("r+b") as file:
        file.write(b"\xff")
    scrubber.start()
    wait_until(lambda: predictor.table is not None and predictor.table.corrupt_blocks == 1, what="the block is found")
    scrubber.stop()
    assert predictor.predict_row(row) == (wanted.values, Source.MODEL)


def test_release_that_is_swapped_out_is_freed_while_it_is_scrubbed(holder: ServedHolder, registry: Path) -> None:
    scrubber = Scrubber(holder, pass_s=1000)
    scrubber.start()
    table = weakref.ref(holder.get(FINITE_NAME).predictor.table)
    models = Registry(str(registry)).model(FINITE_NAME)
    publish_synthetic(str(registry), "uint8")
    config, _ = load_both(registry)
    Follower(holder, Registry(str(registry)), partial(load, config=config), poll_s=config.poll_s).poll()
    gc.collect()
    assert (holder.get(FINITE_NAME).release, table()) == (models.head("production").release, None)
    scrubber.stop()
