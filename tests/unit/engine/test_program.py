from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO

import pytest

from engine.errors import BadSettings, Unavailable
from engine.program import run, run_configured, say


def failing(error: BaseException) -> int:
    raise error


@pytest.mark.parametrize(
    "error, code, message",
    [
        (BadSettings("--port must be free"), 64, "foretable it: --port must be free\n"),
        (Unavailable("no broker"), 75, "foretable it: no broker\n"),
        (KeyboardInterrupt(), 130, "foretable it: interrupted\n"),
    ],
)
def test_what_was_raised_on_purpose(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, message: str
) -> None:
    assert run("foretable it", lambda: failing(error)) == code
    assert capsys.readouterr() == ("", message)


def test_its_own_code() -> None:
    assert run("foretable it", lambda: 3) == 3


@pytest.mark.parametrize(
    "debug, shown, cure",
    [(None, True, "Report it"), (True, True, "Report it"), (False, False, "Run it again with --debug")],
)
def test_a_bug(capsys: pytest.CaptureFixture[str], debug: bool | None, shown: bool, cure: str) -> None:
    assert run("foretable it", lambda: failing(IndexError("7")), debug=debug) == 70
    told = capsys.readouterr().err
    assert ("Traceback" in told) == shown
    assert f"foretable it: unexpected IndexError: 7. {cure}" in told.splitlines()[-1]


def test_debug_shows_where_an_error_was_raised(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("foretable it", lambda: failing(BadSettings("x")), debug=True) == 64
    assert "in failing" in capsys.readouterr().err


@dataclass(frozen=True)
class Settings:
    color: str = "red"
    log_format: str = "text"


@pytest.mark.parametrize("argv, code", [(["blue"], 1), (["blue", "--check"], 2), ([], 64)])
def test_settings_are_read_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, argv: list[str], code: int
) -> None:
    monkeypatch.setattr("engine.program.start_logging", lambda form: logging.getLogger("test").info(form))
    caplog.set_level(logging.INFO)

    def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[Settings, bool]:
        assert "PATH" in environment
        if not arguments:
            message = "must be given"
            raise BadSettings(message)
        return Settings(arguments[0]), "--check" in arguments

    assert run_configured("foretable it", parse, lambda _: 1, lambda _: 2, argv) == code
    assert caplog.messages == ([] if code == 64 else ["text", "settings: color='blue' log_format='text'"])


def test_whoever_read_the_output_has_gone(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    class Gone(StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    with open(f"{tmp_path}/out", "w") as file:  # noqa: PTH123  # what has a descriptor of its own
        gone = Gone()
        monkeypatch.setattr(gone, "fileno", file.fileno)
        monkeypatch.setattr(sys, "stdout", gone)
        say("a line")
