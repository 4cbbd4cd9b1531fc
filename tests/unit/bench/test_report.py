from __future__ import annotations

from pathlib import Path

import pytest

from bench.harness import RESULTS, Result, read_results, record
from bench.report import BEGIN, END, HEADLINES, fill, main, table
from engine.errors import InvalidInput


def result(bar: str, value: float, machine: str = "box") -> Result:
    return Result(bar=bar, value=value, unit="x", goal=1, better="higher", command="make bench-main", machine=machine)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory of the two pages."""
    for page in (readme_of(tmp_path), measured_of(tmp_path)):
        page.parent.mkdir(exist_ok=True)
        page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    return tmp_path


def readme_of(root: Path) -> Path:
    return root / "README.md"


def measured_of(root: Path) -> Path:
    return root / "docs" / "measured.md"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "results"


def test_table_shows_figure_goal_and_verdict() -> None:
    assert table([result("fast | faster", 2), result("slow", 0.5)]).splitlines() == [
        "| Bar | Measured | Goal | Holds | Command |",
        "|---|---:|---:|---|---|",
        r"| fast \| faster | 2 x | ≥ 1 | yes | `make bench-main` |",
        "| slow | 0.5 x | ≥ 1 | **no** | `make bench-main` |",
        "",
        "Measured on: box.",
    ]


def test_two_machines_are_both_named() -> None:
    assert table([result("a", 2), result("b", 2, machine="other")]).splitlines()[-2:] == [
        "- `make bench-main` on: box.",
        "- `make bench-main` on: other.",
    ]


def test_fill_touches_only_what_is_between_the_markers() -> None:
    assert fill(f"a{BEGIN}x{END}b", "new") == f"a{BEGIN}\nnew\n{END}b"


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}", f"{BEGIN}{END}{END}"])
def test_fill_refuses_other_markers(text: str) -> None:
    with pytest.raises(InvalidInput, match="once each"):
        fill(text, "new")


def test_report_fills_then_check_agrees(root: Path, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record("main", [result("fast", 2)], directory=directory)
    assert main(["--check"], root=root, directory=directory) == 65
    assert "old" in measured_of(root).read_text(encoding="utf-8")
    assert main([], root=root, directory=directory) == 0
    assert "| fast | 2 x |" in measured_of(root).read_text(encoding="utf-8")
    assert main(["--check"], root=root, directory=directory) == 0
    record("main", [result("fast", 3)], directory=directory)
    assert main(["--check"], root=root, directory=directory) == 65
    assert "measured.md: the table must be that of bench/results" in capsys.readouterr().err


def test_readme_has_headlines_and_what_falls_short(root: Path, directory: Path) -> None:
    record("main", [result("fast", 2), result("slow", 0.5), result(HEADLINES[0], 2)], directory=directory)
    assert main([], root=root, directory=directory) == 65
    shown = [
        line.split(" | ")[0] for line in readme_of(root).read_text(encoding="utf-8").splitlines() if " x |" in line
    ]
    assert sorted(shown) == sorted(["| slow", f"| {HEADLINES[0]}"])


def test_headlines_are_bars_that_were_measured() -> None:
    assert set(HEADLINES) <= {each.bar for each in read_results(RESULTS)}


def test_report_fails_where_a_figure_falls_short(
    root: Path, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record("main", [result("fast", 2), result("slow", 0.5)], directory=directory)
    assert main([], root=root, directory=directory) == 65
    shown = capsys.readouterr().out
    assert "FALLS SHORT  slow: 0.5 x (goal ≥ 1)" in shown
    assert "2 figures, 1 fall short" in shown
    assert "**no**" in readme_of(root).read_text(encoding="utf-8")


def test_error_has_no_traceback(root: Path, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readme_of(root).write_text("no markers", encoding="utf-8")
    assert main([], root=root, directory=directory) == 65
    assert capsys.readouterr().err.startswith("bench.report: README.md must have")


def test_nothing_measured_is_no_failure(root: Path, directory: Path) -> None:
    assert main([], root=root, directory=directory) == 0
    assert "Nothing measured yet" in readme_of(root).read_text(encoding="utf-8")
