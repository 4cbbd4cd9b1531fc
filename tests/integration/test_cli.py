"""The command line as users type it."""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine.codec import Float32Codec
from engine.registry import Registry
from foretable.__main__ import _COMMANDS
from jobs.program import Parser, Result, add_common, run
from tests.support.candidates import flip_byte, models_of
from tests.support.programs import BIN, Finished, foretable, python
from tests.support.synthetic import FINITE_NAME, publish_synthetic, synthetic_space

GOOD = {"city": "Zürich", "plan": "pro", "age": "33", "size": "1"}
OPTIONS = {
    "precompute": [
        "--bundle",
        "--variant",
        "--codec",
        "--runner",
        "--workers",
        "--master",
        "--shard-rows",
        "--override",
        "--registry",
    ],
    "publish": ["--bundle", "--codec", "--table", "--label", "--reason", "--override", "--sample-rows", "--registry"],
    "rollback": ["--to", "--label", "--reason", "--registry"],
    "releases": ["--history", "--registry"],
    "predict": ["--label", "--release", "FEATURE=VALUE", "--registry"],
    "variants": ["--bundle", "--label", "--rows", "--registry"],
    "verify": ["--release", "--registry"],
}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A registry with one release; tests do not change it."""
    root = str(tmp_path_factory.mktemp("registry"))
    publish_synthetic(root)
    return root


def predict(registry: str, *features: str) -> Finished:
    return foretable("predict", FINITE_NAME, "--registry", registry, *features)


def texts(**changes: str) -> list[str]:
    return [f"{name}={value}" for name, value in {**GOOD, **changes}.items()]


def failed(ended: Finished, code: int) -> str:
    """See that a program failed with this code and one clean message; return that."""
    assert (ended.code, ended.out) == (code, ""), ended
    assert "Traceback" not in ended.err
    return ended.err


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["help"], []])
def test_help_shows_the_way_and_every_command(arguments: list[str]) -> None:
    shown = foretable(*arguments)
    assert (shown.code, shown.err) == (0, "")
    assert all(f"\n  {command} " in shown.out for command in _COMMANDS)
    assert "exit codes: 0 done, 64" in shown.out


@pytest.mark.parametrize("command", OPTIONS)
def test_each_command_explains_its_options(command: str) -> None:
    shown = foretable(command, "--help")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith(f"usage: foretable {command} ")
    for option in [*OPTIONS[command], "--json", "--debug"]:
        assert option in shown.out


def test_every_command_can_be_loaded() -> None:
    assert all(importlib.util.find_spec(module) for module, _ in _COMMANDS.values())


def test_help_loads_no_heavy_library() -> None:
    program = (
        "import sys; from foretable.__main__ import main; main(['--help'])\n"
        "heavy = {'tensorflow', 'keras', 'pyspark', 'flask', 'numpy', 'pyarrow'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_version() -> None:
    assert foretable("--version").out.count(".") == 2


def test_an_unknown_command() -> None:
    message = failed(foretable("precomptue"), 64)
    assert message.startswith("foretable: command must be one of train, variants, precompute, ")
    assert "got 'precomptue'" in message


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["publish", "synthetic"], "the following arguments are required: --registry"),
        (["precompute", "synthetic", "--registry", "r", "--shard-rows", "0"], "must be a whole number of 1 or more"),
        (["precompute", "synthetic", "--registry", "r", "--codec", "bfloat"], "invalid choice: 'bfloat'"),
        (
            ["rollback", "synthetic", "--registry", "r", "--to", "last"],
            "must be a whole number of 1 or more; got 'last'",
        ),
        (["releases", "--registry", "r", "--nonsense"], "unrecognized arguments: --nonsense"),
        (
            ["predict", "synthetic", "--registry", "ftp://host", "a=1"],
            "storage 'ftp://host' must begin with one of file://",
        ),
        (["predict", "Synthetic", "--registry", "/nowhere", "a=1"], "a model's name must be lower-case letters"),
    ],
)
def test_bad_usage(arguments: list[str], says: str) -> None:
    assert says in failed(foretable(*arguments), 64)


@pytest.mark.parametrize("command", ["precompute", "publish", "rollback", "predict", "verify", "releases"])
def test_a_model_that_is_not_there(command: str, registry: str) -> None:
    features = texts() if command == "predict" else []
    message = failed(foretable(command, "nosuch", "--registry", registry, *features), 64)
    assert "nosuch" in message


def test_a_good_row(registry: str) -> None:
    table = predict(registry, *texts(), "--json").json()
    assert (table["source"], table["release"]) == ("table", 1)
    bundle = models_of(Path(registry)).newest_bundle()
    answer = bundle.runtime().infer(synthetic_space().encode_row(GOOD))[0]
    assert Float32Codec(3).encode(answer.reshape(1, 3)).tolist()[0] == answer.tolist()
    assert table["bundle"] == bundle.digest
    outputs = table["outputs"]
    shown = [outputs["click"], *outputs["share"]]
    assert [float(value) for value in shown] == [float(str(value)) for value in answer]
    people = predict(registry, *texts()).out
    assert people == f"click = {shown[0]}, share = [{shown[1]}, {shown[2]}]  (from the table of release 1)\n"


def test_a_row_that_only_the_model_knows(registry: str) -> None:
    assert predict(registry, *texts(plan="gold"), "--json").json()["source"] == "model"


@pytest.mark.parametrize(
    "features, code, says",
    [
        (texts(city="Atlantis"), 65, ["'city'", "Atlantis"]),
        (texts(age="old"), 65, ["'age'", "old"]),
        (texts()[:-1], 65, ["'size'"]),
        ([*texts(), "colour=red"], 65, ["colour"]),
        ([*texts(), "age=34"], 64, ["each feature must be given once", "age=34"]),
        ([*texts(), "age"], 64, ["a feature must be given as NAME=VALUE; got 'age'"]),
    ],
)
def test_a_bad_row(registry: str, features: list[str], code: int, says: list[str]) -> None:
    message = failed(predict(registry, *features), code)
    assert message.startswith("foretable predict: ")
    assert message.count("\n") == 1
    assert all(words in message for words in says)


def test_a_value_may_hold_an_equals_sign(registry: str) -> None:
    assert predict(registry, *texts(plan="a=b"), "--json").json()["source"] == "model"


def test_a_label_or_release_that_is_not_there(registry: str) -> None:
    message = failed(predict(registry, *texts(), "--label", "canary"), 64)
    assert "must be one of production; got 'canary'" in message
    assert "must be one of 1; got 7" in failed(predict(registry, *texts(), "--release", "7"), 64)


def test_json_is_one_line_and_nothing_else(registry: str) -> None:
    for command in (["releases", FINITE_NAME], ["releases"], ["verify", FINITE_NAME]):
        ended = foretable(*command, "--registry", registry, "--json")
        assert ended.err == ""
        assert isinstance(ended.json(), dict)


def test_an_empty_registry_says_what_to_do(tmp_path: Path) -> None:
    ended = foretable("releases", "--registry", str(tmp_path / "none"))
    assert ended.code == 0
    assert "no model in" in ended.out
    assert "foretable train" in ended.out


@pytest.mark.parametrize("part", ["model.float32.tflite", "golden.json", "shard-000003.dense", "bundle manifest"])
def test_verify_finds_a_flipped_byte_and_names_the_file(part: str, tmp_path: Path) -> None:
    release = publish_synthetic(str(tmp_path))
    assert foretable("verify", FINITE_NAME, "--registry", str(tmp_path)).code == 0
    bundle, table = (tmp_path / FINITE_NAME / kind for kind in ("bundles", "tables"))
    path = {
        "shard-000003.dense": table / str(release.table) / "shard-000003.dense",
        "bundle manifest": bundle / release.bundle / "manifest.json",
    }.get(part, bundle / release.bundle / part)
    flip_byte(path, -200)
    ended = foretable("verify", FINITE_NAME, "--registry", str(tmp_path), "--json")
    assert (ended.code, ended.out) == (65, "")
    assert f"{path.parent.name}/{path.name}" in ended.err.splitlines()[-1]


def test_verify_lists_all_that_is_damaged(tmp_path: Path) -> None:
    release = publish_synthetic(str(tmp_path))
    for number in (1, 5):
        flip_byte(tmp_path / FINITE_NAME / "tables" / str(release.table) / f"shard-00000{number}.dense", 900)
    last = foretable("verify", FINITE_NAME, "--registry", str(tmp_path), "--json").err.splitlines()[-1]
    assert "shard-000001.dense: must have SHA-256" in last
    assert "shard-000005.dense: must have SHA-256" in last
    assert "2 corrupt blocks" in last


@pytest.mark.parametrize("module", ["precompute", "publish", "rollback", "releases", "predict", "verify"])
def test_each_program_runs_as_a_module_and_as_a_script(module: str) -> None:
    assert python(f"jobs.{module}", "--help").out == foretable(module, "--help").out
    script = subprocess.run(
        [sys.executable, f"jobs/{module}.py", "--help"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert (script.returncode, script.stderr) == (0, "")


@pytest.mark.parametrize("command", ["releases", "publish"])
def test_output_into_a_pipe_that_closes(command: str, tmp_path: Path) -> None:
    publish_synthetic(str(tmp_path))
    model = {"releases": "", "publish": FINITE_NAME}[command]
    line = f"{BIN}/foretable {command} {model} --registry {tmp_path} | true; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr
    assert "Exception" not in ended.stderr
    if command == "publish":  # an answer that nobody reads is no reason to stop half-way
        assert len(models_of(tmp_path).releases()) == 2
    assert ended.returncode == 0


def _broken(arguments: argparse.Namespace) -> Result:
    message = "list index out of range"
    raise IndexError(message)


def _program() -> Parser:
    parser = Parser(prog="foretable broken")
    add_common(parser, registry=False)
    return parser


def test_an_unexpected_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(_program(), _broken, []) == 70
    out, err = capsys.readouterr()
    assert out == ""
    cure = "Run it again with --debug for the traceback, and report it"
    assert err == f"foretable broken: unexpected IndexError: list index out of range. {cure}\n"


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(_program(), _broken, ["--debug"]) == 70
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert "in _broken" in err


def test_ctrl_c_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(arguments: argparse.Namespace) -> Result:
        raise KeyboardInterrupt

    assert run(_program(), interrupted, []) == 130
    assert capsys.readouterr().err == "foretable broken: interrupted; what was finished is kept\n"


def test_a_directory_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / FINITE_NAME).write_text("a file where a directory must be")
    ended = foretable("publish", FINITE_NAME, "--registry", str(tmp_path))
    assert ended.code in {64, 65}, ended
    assert "Traceback" not in ended.err


def test_the_registry_may_be_a_url(registry: str) -> None:
    assert Registry(registry).url.startswith("file:///")
    fields = foretable("releases", FINITE_NAME, "--registry", f"file://{registry}", "--json").json()
    assert json.dumps(fields["models"][FINITE_NAME]["releases"][0]["number"]) == "1"
