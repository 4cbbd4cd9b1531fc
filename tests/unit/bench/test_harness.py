from __future__ import annotations

import platform
from pathlib import Path

import orjson
import pytest

from bench.harness import Result, goal_text, machine, number_text, read_results, record
from engine.errors import BadSettings, InvalidInput

FIELDS = {
    "bar": "rows per second",
    "value": 6.5e6,
    "unit": "rows/s",
    "goal": 6e6,
    "better": "higher",
    "command": "make bench-main",
    "machine": "a machine",
}


def result(**changes: object) -> Result:
    return Result(**(FIELDS | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value, better, holds",
    [(7, "higher", True), (6, "higher", True), (5, "higher", False), (7, "lower", False), (6, "lower", True)],
)
def test_goal_itself_holds(value: float, better: str, holds: bool) -> None:
    assert result(value=value, goal=6, better=better).holds is holds


@pytest.mark.parametrize(
    "field, content",
    [
        ("value", float("nan")),
        ("value", "7"),
        ("value", True),
        ("goal", float("inf")),
        ("better", "more"),
        ("bar", ""),
        ("unit", "a\nb"),
    ],
)
def test_wrong_field_is_refused_by_name(field: str, content: object) -> None:
    with pytest.raises(InvalidInput, match=rf"^{field} of result"):
        result(**{field: content})


def test_recorded_file_has_the_agreed_fields(tmp_path: Path) -> None:
    path = record("main", [result()], directory=tmp_path)
    assert path == tmp_path / "main.json"
    assert orjson.loads(path.read_bytes()) == [FIELDS | {"holds": True}]
    assert [entry.name for entry in tmp_path.iterdir()] == ["main.json"]
    assert read_results(tmp_path) == [result()]


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record("main", [result()], directory=tmp_path)

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        record("main", [result(value=1)], directory=tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["main.json"]
    assert read_results(tmp_path) == [result()]


@pytest.mark.parametrize("name", ["", "Main", "a/b", "../a", "a--b", "a b"])
def test_name_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadSettings, match="lower-case words"):
        record(name, [result()], directory=tmp_path)


@pytest.mark.parametrize("results", [[], [result(), result(value=1)]])
def test_results_must_have_different_bars(tmp_path: Path, results: list[Result]) -> None:
    with pytest.raises(BadSettings, match="different bars"):
        record("main", results, directory=tmp_path)


@pytest.mark.parametrize(
    "content, cause",
    [
        (b"[", "results file bad.json: "),
        (b"{}", "must be a list"),
        (b"[{}]", "must be an object with the fields"),
        (orjson.dumps([FIELDS | {"holds": False}]), "holds of result 'rows per second' must be true; got False"),
    ],
)
def test_damaged_file_is_named(tmp_path: Path, content: bytes, cause: str) -> None:
    (tmp_path / "bad.json").write_bytes(content)
    with pytest.raises(InvalidInput, match=cause):
        read_results(tmp_path)


def test_bar_in_two_files_is_refused(tmp_path: Path) -> None:
    record("a", [result()], directory=tmp_path)
    record("b", [result()], directory=tmp_path)
    with pytest.raises(InvalidInput, match=r"b\.json: .* which a\.json has too"):
        read_results(tmp_path)


def test_machine_does_not_name_the_host() -> None:
    text = machine()
    assert "cores" in text
    assert platform.python_version() in text
    assert platform.node() not in text


@pytest.mark.parametrize(
    "value, text",
    [
        (0, "0"),
        (8467200, "8,467,200"),
        (3538211.7, "3,538,212"),
        (0.70312, "0.703"),
        (1.5, "1.50"),
        (0.0004321, "0.000432"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number_text(value) == text


def test_goal_shows_its_direction() -> None:
    assert goal_text(result()) == "≥ 6,000,000"
    assert goal_text(result(better="lower", goal=0.03)) == "≤ 0.03"
