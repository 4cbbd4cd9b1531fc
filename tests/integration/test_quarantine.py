"""``foretable quarantine``: what it shows of bad rows, and what it removes and leaves."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.registry import Registry
from jobs.scoring.job import score
from jobs.scoring.settings import ScoreSettings
from tests.support.inline_runner import InlineRunner
from tests.support.programs import foretable
from tests.support.synthetic import CITIES, FINITE_NAME, publish_synthetic


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = str(tmp_path_factory.mktemp("registry"))
    publish_synthetic(url, with_table=False)
    return url


def scored(registry: str, root: Path, day: str, *, quarantine_days: int | None) -> Path:
    """Score four rows, three of which are bad, into ``root/scored/<day>``."""
    source = root / "rows" / day
    source.mkdir(parents=True)
    cities = [CITIES[0], "Nowhere", "Atlantis", None]
    rows = {"city": cities, "plan": ["7"] * 4, "age": [30.0] * 4, "size": [1] * 4}
    pq.write_table(pa.table(rows), source / "a.parquet")
    output = root / "scored" / day
    settings = ScoreSettings(
        model=FINITE_NAME, input=str(source), output=str(output), quarantine_days=quarantine_days, quiet=True
    )
    done = score(Registry(registry), settings, InlineRunner)
    assert (done.scored, done.quarantined) == (1, 3)
    return output


def test_shows_causes_with_examples_over_several_outputs(registry: str, tmp_path: Path) -> None:
    for day in ("monday", "tuesday"):
        scored(registry, tmp_path, day, quarantine_days=None)
    shown = foretable("quarantine", "show", str(tmp_path / "scored"), "--examples", "1")
    assert shown.code == 0
    lines = [line.strip() for line in shown.out.splitlines() if line]
    assert lines[0] == "6 of 8 rows could not be scored"
    assert lines[1].split() == ["4", "unknown_category", "city"]
    assert lines[2].startswith("monday: a.parquet row 1: feature 'city' must be one of ")
    assert lines[3].split() == ["2", "null", "city"]
    assert lines[4] == "monday: a.parquet row 3: feature 'city' must be a text, an integer or a boolean; got null"
    assert len(lines) == 5
    fields = foretable("quarantine", "show", str(tmp_path / "scored" / "monday"), "--json").json()
    assert fields["causes"][0] == {"cause": "unknown_category", "feature": "city", "rows": 2}


def test_purges_what_has_expired_and_nothing_else(registry: str, tmp_path: Path) -> None:
    expired = scored(registry, tmp_path, "old", quarantine_days=0)
    kept = [scored(registry, tmp_path, f"new{days}", quarantine_days=days) for days in (1, None)]
    before = {path: path.read_bytes() for path in expired.rglob("part-*") if "_quarantine" not in path.parts}
    removed = foretable("quarantine", "purge", str(tmp_path / "scored"), "--json").json()["removed"]
    assert removed == [f"file://{expired}"]
    assert not (expired / "_quarantine").exists()
    assert {path: path.read_bytes() for path in expired.rglob("part-*")} == before
    assert all(list((output / "_quarantine").iterdir()) for output in kept)
    again = foretable("quarantine", "purge", str(tmp_path / "scored"))
    assert again.out == "no quarantine has expired\n"
    assert foretable("quarantine", "show", str(expired)).out == "0 of 4 rows could not be scored\n"


def test_what_was_not_shown_yet_is_not_counted(registry: str, tmp_path: Path) -> None:
    shown = scored(registry, tmp_path, "day=1", quarantine_days=None)
    shutil.copytree(shown, shown.with_name("_day%3D2-0123456789abcdef"))
    found = foretable("quarantine", "show", str(tmp_path / "scored"), "--json").json()
    assert (found["rows"], found["quarantined"]) == (4, 3)


def test_a_place_without_scores_is_refused(tmp_path: Path) -> None:
    refused = foretable("quarantine", "show", str(tmp_path))
    assert refused.code == 64
    assert "must hold the output of a scoring job; got none that is finished" in refused.err
