"""``foretable profile`` against the real server, and against one that does what a good server never does on demand."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from online.profile.program import main
from tests.support.programs import foretable
from tests.support.scripted_server import RESET, Asked, Reply, ScriptedServer
from tests.support.serving import ServerProcess
from tests.support.synthetic import FINITE_NAME, NUMBERS_NAME, synthetic_space

QUICK = ("--seconds", "0.01", "--batch-sizes", "1,20,400")  # three sizes are measured however slow the machine is
TOKEN = "a token of this very test".replace(" ", "-")


@pytest.fixture(scope="module")
def server(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with a token, which takes 500 rows."""
    files = tmp_path_factory.mktemp("files")
    (files / "tokens").write_text(TOKEN)
    options = ("--token-file", str(files / "tokens"), "--max-rows", "500")
    with ServerProcess(published, *options, logs=files / "logs") as running:
        yield running
        assert "Traceback" not in running.log


def url(server: ServerProcess) -> str:
    return f"http://127.0.0.1:{server.port}"


def test_command_measures_a_table(server: ServerProcess, tmp_path: Path) -> None:
    figures, picture = tmp_path / "figures.json", tmp_path / "picture.png"
    arguments = ("--token", TOKEN, *QUICK, "--json", str(figures), "--picture", str(picture))
    done = foretable("profile", url(server), FINITE_NAME, *arguments)
    assert done.code == 0, done.err
    for word in ("overhead", "compute", "fit", "advice", "answers: table 100%"):
        assert word in done.out
    assert done.err == ""  # no terminal, no progress
    found = json.loads(figures.read_text())
    assert [size["rows"] for size in found["sizes"]] == [1, 20, 400]
    assert all(size["requests"] >= 5 and size["median_s"] >= size["inside_median_s"] > 0 for size in found["sizes"])
    assert found["overhead_s"] >= 0
    assert found["compute_s_per_row"] >= 0
    assert set(found["rows_by_source"]) == {"table"}
    assert (found["label"], found["releases"], found["has_table"]) == ("production", [1], True)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figures.json", "picture.png"]


@pytest.mark.parametrize("form", ["json", "arrow"])
def test_model_without_a_table(
    server: ServerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    figures = tmp_path / "figures.json"
    options = ("--token", TOKEN, "--label", "production", "--form", form, *QUICK, "--json", str(figures))
    assert main([url(server), NUMBERS_NAME, *options]) == 0
    assert "█" in capsys.readouterr().out
    found = json.loads(figures.read_text())
    assert set(found["rows_by_source"]) == {"model"}
    assert found["form"] == form


def test_sizes_beyond_the_servers_limit_are_left_out(server: ServerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ("--seconds", "0.01", "--batch-sizes", "1,2,500,501,600")
    assert main([url(server), FINITE_NAME, "--token", TOKEN, *sizes]) == 0
    assert "left out  501, 600 rows: the server takes no body of so many rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    "model, options, code, message",
    [
        ("nobody", ("--token", TOKEN), 64, "got 404: model must be one of numbers, synthetic"),
        (FINITE_NAME, ("--token", TOKEN, "--label", "canary"), 64, "got 404"),
        (FINITE_NAME, (), 64, "got 401"),
        (FINITE_NAME, ("--token", "another-token-than-the-servers"), 64, "Give --token"),
        (FINITE_NAME, ("--batch-sizes", "1,2"), 64, "--batch-sizes: must be 3 or more"),
        (FINITE_NAME, ("--batch-sizes", "1,2,2"), 64, "distinct"),
        (FINITE_NAME, ("--seconds", "nan"), 64, "--seconds: must be a number of seconds above 0"),
        (FINITE_NAME, ("--picture", "x.gif"), 64, "--picture must end with"),
        (FINITE_NAME, ("--json", "/nowhere/x.json"), 64, "--json must be a file in a directory that can be written"),
        (FINITE_NAME, ("--form", "xml"), 64, "--form"),
    ],
)
def test_what_is_wrong_is_said(
    server: ServerProcess,
    capsys: pytest.CaptureFixture[str],
    model: str,
    options: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    assert main([url(server), model, *options]) == code
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.startswith("foretable profile: ")
    assert said.out == ""
    assert TOKEN not in said.err


def test_no_server_is_worth_another_try(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as bound:  # bound and not listening: nothing else can answer there
        bound.bind(("127.0.0.1", 0))
        assert main([f"http://127.0.0.1:{bound.getsockname()[1]}", "flights"]) == 75
    assert "Start 'foretable serve'" in capsys.readouterr().err


def described(asked: Asked) -> Reply | None:
    """Answer a request for metadata."""
    if asked.method == "POST":
        return None
    ours = {"release": 1, "label": "production", "variant": "float32", "table": "t", **synthetic_space().to_json()}
    return Reply(200, {"model_spec": {"name": "scripted"}, "foretable": ours})


def answered(asked: Asked) -> Reply:
    """Answer rows, without a Server-Timing."""
    assert asked.headers["content-type"] == "application/json"
    assert len(asked.rows) >= 1
    return Reply(200, {}, {"Foretable-Source": "table", "Foretable-Release": "1"})


def test_busy_server_is_asked_again_when_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    busy = Reply(503, {"error": "full"}, {"Retry-After": "0"})
    with ScriptedServer(
        lambda asked, number: described(asked) or (busy if number == 20 else answered(asked))
    ) as server:
        assert main([server.url, "scripted", *QUICK]) == 0
    text = capsys.readouterr().out
    assert "busy      refused 1 times" in text
    assert "no Server-Timing" in text


def test_server_that_stays_busy_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    busy = Reply(503, {"error": "full"}, {"Retry-After": "0"})
    with ScriptedServer(lambda asked, number: described(asked) or busy) as server:
        assert main([server.url, "scripted", *QUICK]) == 75
    assert "got 503 5 times in a row" in capsys.readouterr().err


def test_server_that_asks_for_an_hour_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    busy = Reply(429, {"error": "full"}, {"Retry-After": "3600"})
    with ScriptedServer(lambda asked, number: described(asked) or busy) as server:
        assert main([server.url, "scripted", *QUICK]) == 75
    assert "Retry-After of 3600 s" in capsys.readouterr().err


def test_connection_that_ends_is_opened_again() -> None:
    with ScriptedServer(
        lambda asked, number: described(asked) or (RESET if number == 20 else answered(asked))
    ) as server:
        assert main([server.url, "scripted", *QUICK]) == 0


@pytest.mark.parametrize(
    "reply, code, message",
    [
        (Reply(200, {"model_spec": {}}), 64, "Give the URL of 'foretable serve'"),
        (Reply(200, b"<html>"), 64, "Give the URL of 'foretable serve'"),
        (Reply(200, {"foretable": {"release": 1}}), 64, "Take the foretable of the server's version"),
        (Reply(302, b"", {"Location": "/"}), 64, "got 302"),
        (Reply(502, b"proxy"), 75, "got 502"),
        (Reply(500, {"error": "internal"}), 70, "got 500: internal"),
    ],
)
def test_server_that_is_another(capsys: pytest.CaptureFixture[str], reply: Reply, code: int, message: str) -> None:
    with ScriptedServer(lambda asked, number: reply) as server:
        assert main([server.url, "scripted", *QUICK]) == code
    assert message in capsys.readouterr().err


def test_release_that_changes_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    def script(asked: Asked, number: int) -> Reply:
        headers = {"Foretable-Source": "table", "Foretable-Release": "1" if number < 20 else "2"}
        return described(asked) or Reply(200, {}, headers)

    with ScriptedServer(script) as server:
        assert main([server.url, "scripted", *QUICK]) == 0
    assert "releases  1, 2 answered" in capsys.readouterr().out
