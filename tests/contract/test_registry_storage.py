"""A model is published, served from and raced for on the storage of a cluster as on a disk."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.answer import Source
from engine.errors import LostRace
from engine.label import LabelRecord
from engine.predictor import Predictor
from engine.registry import Registry
from engine.storage import open_storage
from tests.support.hadoop import Hadoop
from tests.support.s3 import running_s3
from tests.support.synthetic import publish_synthetic, synthetic_space


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with running_s3() as url:
        yield url


class RegistryContract:
    """The suite."""

    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError

    def test_a_published_model_answers(self, url: str, tmp_path: Path) -> None:
        release = publish_synthetic(url)
        here = publish_synthetic(str(tmp_path))
        assert (release.bundle, release.bundle_digest, release.table) == (here.bundle, here.bundle_digest, here.table)
        models = Registry(url).model("synthetic")
        assert (models.bundles(), models.releases(), models.labels()) == ([release.bundle], [1], ["production"])
        assert models.tables() == [release.table]
        rows = [synthetic_space().row(ordinal) for ordinal in (0, 77, 5_000)]
        rows.append({**rows[0], "plan": "nobody's"})  # not in the table: the model answers
        there = Predictor.load(models, release).predict_rows(rows)
        disk = Predictor.load(Registry(str(tmp_path)).model("synthetic"), here).predict_rows(rows)
        assert there.values.tobytes() == disk.values.tobytes()
        assert there.rows_by_source() == {Source.TABLE: 3, Source.MODEL: 1}

    def test_of_8_movers_one_wins(self, url: str) -> None:
        publish_synthetic(url, with_table=False)
        label = Registry(url).model("synthetic").label()
        head = label.head()
        start = threading.Barrier(8)

        def move(number: int) -> LabelRecord | None:
            own = Registry(url).model("synthetic").label()
            start.wait()
            try:
                return own.move(1, after=head, reason=f"mover {number}")
            except LostRace:
                return None

        with ThreadPoolExecutor(8) as pool:
            records = [record for record in pool.map(move, range(8)) if record]
        assert label.history() == [head, *records]
        assert len(records) == 1
        names = [file.path.rpartition("/")[2] for file in open_storage(url).walk("synthetic/labels", hidden=True)]
        assert names == ["00000001.json", "00000002.json"]


@pytest.mark.hadoop
class TestHdfs(RegistryContract):
    @pytest.fixture
    def url(self, hdfs: Hadoop) -> str:
        return hdfs.fresh("registry")


class TestS3(RegistryContract):
    @pytest.fixture
    def url(self, bucket: str) -> str:
        return f"{bucket}/{secrets.token_hex(8)}"
