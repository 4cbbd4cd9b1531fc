from __future__ import annotations

from pathlib import Path

import pytest

from services.errors import DamagedState
from services.process import ProcessIdentity
from services.state import State


def test_reads_back_what_was_saved(tmp_path: Path) -> None:
    state = State({"namenode-rpc": 12345}, {"namenode": ProcessIdentity(17, 1.5)})
    state.save(tmp_path / "state.json")
    assert State.load(tmp_path / "state.json") == state
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]


def test_is_empty_where_there_is_no_file(tmp_path: Path) -> None:
    assert State.load(tmp_path / "state.json") == State()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"ports": {}, "processes": {"a": {"pid": 1}}}', '{"ports": 1}'])
def test_a_damaged_file_is_never_taken_for_an_empty_one(tmp_path: Path, content: str) -> None:
    file = tmp_path / "state.json"
    file.write_text(content)
    with pytest.raises(DamagedState, match=r"state\.json: must hold ports and processes as JSON; got "):
        State.load(file)
