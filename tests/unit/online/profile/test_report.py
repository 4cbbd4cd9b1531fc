"""A profile as text, as JSON and as a picture."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from engine.errors import BadSettings
from online.profile.measurement import Measurement, Point
from online.profile.picture import check_picture, draw
from online.profile.profile import Profile
from online.profile.profiled_model import ProfiledModel
from online.profile.report import report
from tests.support.synthetic import synthetic_space


def profile(*, inside: bool = True, releases: tuple[str, ...] = ("3",), shed: int = 0) -> Profile:
    """Overhead is 1 ms, of which 0.25 ms are the application's; a row takes 10 µs."""
    model = ProfiledModel("synthetic", "production", 3, "float32", True, synthetic_space())
    points = [
        Point(n, [1e-3 + n * 1e-5] * 3, [2.5e-4 + n * 1e-5] * 3 if inside else []) for n in (1, 10, 100, 1000, 10000)
    ]
    found = Measurement(points, Counter(table=33_333), list(releases), {20000: "too long"} if shed else {})
    return Profile.of("http://host/v1/models/synthetic", "json", model, found, shed=shed)


def test_text_has_every_figure() -> None:
    lines = report(profile(), bars=True).splitlines()
    assert lines[0] == "synthetic release 3 (production), variant float32, with a table"
    assert lines[1].endswith("15 requests of json, 5 sizes; answers: table 100%")
    assert lines[6].split()[:5] == ["100", "2.000", "2.000", "50,000", "2.000"]
    assert lines[6].endswith("█" * 12 + "░" * 12)
    assert "overhead  1.000 ms a request (0.750 ms outside" in lines[10]
    assert "0.250 ms inside the application" in lines[10]
    assert lines[11] == "compute   10.000 µs a row"
    assert lines[12] == "equal     at 100.0 rows"
    assert lines[13] == "90%       of 100,000 rows/s from 900 rows in one request"
    assert lines[14] == "fit       within 0% of every median"
    assert lines[15].startswith("advice    Batch requests: 99% of the 1.01 ms")
    assert len(lines) == 16


def test_no_bars_beside_a_picture() -> None:
    assert "█" not in report(profile(), bars=False)


def test_what_spoils_a_profile_is_said() -> None:
    text = report(profile(inside=False, releases=("3", "4"), shed=2), bars=False)
    assert "no Server-Timing" in text
    assert "busy      refused 2 times" in text
    assert "releases  3, 4 answered" in text
    assert "left out  20,000 rows: too long" in text


def test_json_has_the_figures_in_seconds() -> None:
    found = json.loads(json.dumps(profile().to_json(), allow_nan=False))
    assert found["overhead_s"] == pytest.approx(1e-3)
    assert found["overhead_inside_s"] == pytest.approx(2.5e-4)
    assert found["compute_s_per_row"] == pytest.approx(1e-5)
    assert found["rows_for_90_percent"] == 900
    assert (found["fit_is_good"], found["one_row_apart"]) == (True, False)
    assert found["sizes"][2] == {
        "rows": 100,
        "requests": 3,
        "median_s": pytest.approx(2e-3),
        "p99_s": pytest.approx(2e-3),
        "inside_median_s": pytest.approx(1.25e-3),
        "rows_per_s": pytest.approx(50_000),
        "fit_s": pytest.approx(2e-3),
    }


def test_picture_is_a_png() -> None:
    content = draw(profile(), ".png")
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(content) > 10_000


def test_picture_is_an_svg() -> None:
    content = draw(profile(), ".SVG")
    assert ET.fromstring(content).tag.endswith("svg")


def test_picture_needs_an_ending_that_can_be_drawn() -> None:
    with pytest.raises(BadSettings, match=r"--picture must end with \.png or \.svg; got 'x\.gif'"):
        check_picture(Path("x.gif"))


def test_picture_without_matplotlib_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    class Without:
        """An environment without it."""

        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            return None

    monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Without()])
    with pytest.raises(BadSettings, match=r"must have matplotlib .* pip install matplotlib"):
        check_picture(Path("x.png"))
