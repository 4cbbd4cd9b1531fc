"""What a run leaves in storage where YARN loses its exit code."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from engine.errors import Refused
from engine.manifest import parse_manifest
from jobs.outcome import KIND, VERSION, recorded
from jobs.program import Result

ARGUMENTS = argparse.Namespace(folder="")
RECORD = "application_1795577577003_0042-2.json"


def succeed(_: argparse.Namespace) -> Result:
    return Result("done", rows=3)


def refuse(_: argparse.Namespace) -> Result:
    message = "gate: must pass; it did not. Look"
    raise Refused(message)


def break_down(_: argparse.Namespace) -> Result:
    raise KeyError


@pytest.fixture(params=["container_1795577577003_0042_02_000001", "container_e17_1795577577003_0042_02_000001"])
def _in_container(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTAINER_ID", request.param)


def fields(folder: Path) -> dict[str, object]:
    found = parse_manifest((folder / RECORD).read_bytes(), kind=KIND, version=VERSION, where=RECORD)
    assert str(found.pop("time")).endswith("Z")
    del found["format"]
    return found


@pytest.mark.usefixtures("_in_container")
def test_a_success_leaves_its_result(tmp_path: Path) -> None:
    assert recorded("foretable x", succeed, lambda _: str(tmp_path))(ARGUMENTS).text == "done"
    assert fields(tmp_path) == {
        "program": "foretable x",
        "application": "application_1795577577003_0042",
        "attempt": 2,
        "exit_code": 0,
        "result": {"rows": 3},
    }


@pytest.mark.usefixtures("_in_container")
def test_a_refusal_leaves_its_code_and_message_and_goes_on(tmp_path: Path) -> None:
    with pytest.raises(Refused):
        recorded("foretable x", refuse, lambda _: str(tmp_path))(ARGUMENTS)
    assert fields(tmp_path)["exit_code"] == 65
    assert fields(tmp_path)["message"] == "gate: must pass; it did not. Look"


@pytest.mark.usefixtures("_in_container")
def test_a_bug_is_recorded_as_one(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        recorded("foretable x", break_down, lambda _: str(tmp_path))(ARGUMENTS)
    assert fields(tmp_path)["exit_code"] == 70
    assert fields(tmp_path)["message"] == "unexpected KeyError: "


@pytest.mark.usefixtures("_in_container")
def test_a_record_that_cannot_be_written_changes_no_outcome(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Refused):
        recorded("foretable x", refuse, lambda _: str(tmp_path / "file" / "below"))(ARGUMENTS)
    assert "foretable x: the outcome must be recorded; it was not:" in capsys.readouterr().err


def test_elsewhere_the_exit_code_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONTAINER_ID", raising=False)
    recorded("foretable x", succeed, lambda _: str(tmp_path))(ARGUMENTS)
    assert list(tmp_path.iterdir()) == []
