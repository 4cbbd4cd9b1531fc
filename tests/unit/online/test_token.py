from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.errors import BadSettings
from online.token import Tokens


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment\n",
        "short\n",
        "long-enough-token\nshort\n",
        "a token of several words",
        "tökens-tökens-tökens",
    ],
)
def test_file_that_protects_nothing_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tokens"
    file.write_text(text)
    with pytest.raises(BadSettings, match="tokens"):
        Tokens(str(file))


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="--token-file must be a readable file"):
        Tokens(str(tmp_path / "none"))


def test_tokens_change_without_a_pause(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "tokens"
    file.write_text("token-number-one\n")
    tokens = Tokens(str(file))

    def write(text: str, number: int) -> None:
        file.write_text(text)
        os.utime(file, ns=(number, number))
        tokens.refresh()

    write("token-number-one\ntoken-number-two\n", 1)
    assert tokens.accept("Bearer token-number-one")
    assert tokens.accept("Bearer token-number-two")
    write("token-number-two\n", 2)
    assert not tokens.accept("Bearer token-number-one")
    write("", 3)
    assert tokens.accept("Bearer token-number-two")
    tokens.refresh()
    assert caplog.text.count("tokens stay as they were") == 1
