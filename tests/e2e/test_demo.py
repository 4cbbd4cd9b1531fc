"""The demo on real flights, with the local runner: what it leaves and what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.programs import foretable

pytestmark = [pytest.mark.tensorflow, pytest.mark.timeout(600)]


def test_demo_trains_precomputes_publishes_serves_and_draws(tmp_path: Path) -> None:
    done = foretable("demo", "--runner", "local", "--folder", str(tmp_path))
    assert done.code == 0, done.err
    assert "8,467,200 rows computed" in done.out
    assert done.out.count('"source":"table"') == 3
    assert "got 'CDG'" in done.out
    assert "FAIL" not in done.out
    picture = (tmp_path / "on-time.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000
    bars = done.err
    assert "train flights" in bars
    assert "precompute flights (local)" in bars
