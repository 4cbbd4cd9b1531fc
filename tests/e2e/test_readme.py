"""What the README shows, run as it stands: every command in order, the question over HTTP, the Python example."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from foretable import Predictor
from tests.support.kafka import Kafka
from tests.support.programs import ROOT, foretable, python
from tests.support.serving import ServerProcess
from tests.support.stream_process import StreamProcess

README = (ROOT / "README.md").read_text()
MODEL = "flights"

pytestmark = [pytest.mark.tensorflow, pytest.mark.spark, pytest.mark.timeout(600)]


def _blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [block for found, block in fenced if found == language]


def _steps() -> list[str]:
    (steps,) = [block for block in _blocks("") if "foretable train" in block]
    return [line.partition("#")[0].strip() for line in steps.splitlines()]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, java_home: str) -> Path:
    """Run the README's commands up to ``serve`` on a registry of this test's own."""
    assert java_home
    folder = tmp_path_factory.mktemp("readme") / "models"
    for line in _steps():
        name, *arguments = shlex.split(line)
        if name != "foretable":
            continue
        if arguments[0] == "serve":
            break
        # The runner of this shell's users: Spark, since there is a Java.
        done = foretable(*[str(folder) if argument == "models" else argument for argument in arguments])
        assert done.code == 0, done.err
    return folder


def test_table_was_computed_by_spark_and_is_whole(registry: Path) -> None:
    assert foretable("verify", MODEL, "--registry", str(registry)).code == 0
    predictor = Predictor.open(str(registry), MODEL)
    assert predictor.table is not None
    assert predictor.table.spec.rows == 16 * 3 * 105 * 12 * 7 * 20


def test_model_earns_its_place(registry: Path) -> None:
    """On held-out days within the bars of the best of logistic regression and boosting: 0.5520, 0.6543, as measured."""
    metrics = Predictor.open(str(registry), MODEL).bundle.manifest["metrics"]
    assert metrics["on_time.log_loss"] < 0.5520 + 0.001
    assert metrics["on_time.auc"] > 0.6543 - 0.003
    assert metrics["on_time.calibration_error"] <= 0.03


def test_question_over_http_is_answered_as_shown(registry: Path, tmp_path: Path) -> None:
    (question,) = [line for line in _steps() if line.startswith("curl")]
    (shown,) = [json.loads(line) for line in _steps() if line.startswith("{")]
    path = question.partition(":8000")[2].rstrip("'")
    with ServerProcess(registry, logs=tmp_path / "log") as server:
        status, _, body = server.request(path)
    answer = json.loads(body)
    assert status == 200
    # The bits are those of the CPU that trained; everything else is as the README says.
    assert answer.keys() == shown.keys()
    assert {**answer, "outputs": None} == {**shown, "outputs": None}
    assert answer["outputs"]["on_time"] == pytest.approx(shown["outputs"]["on_time"], abs=0.05)


def test_python_example_runs(registry: Path) -> None:
    (example,) = [block for block in _blocks("python") if "predict_row" in block]
    code = example.replace('"models"', repr(str(registry))).replace(
        "predictor.predict_row", "answer = predictor.predict_row"
    )
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["answer"].source.text == "table"  # type: ignore[attr-defined]


@pytest.mark.kafka
def test_request_over_kafka_is_answered_as_shown(registry: Path, kafka: Kafka, tmp_path: Path) -> None:
    (block,) = [block for block in _blocks("") if "foretable stream" in block]
    export, stream, _, request, shown = block.splitlines()
    assert export.startswith("export FORETABLE_BROKERS=")
    given = re.search(r"'({.*})' > rows.jsonl", block)
    assert given
    (tmp_path / "rows.jsonl").write_text(given[1])
    topics = {name: kafka.fresh_topic(name) for name in ("requests", "predictions", "letters")}
    places = {**topics, "models": str(registry), "rows.jsonl": str(tmp_path / "rows.jsonl")}
    place = ["--brokers", kafka.bootstrap]
    _, _, *options = [places.get(word, word) for word in shlex.split(stream)[:-1]]
    with StreamProcess(*options, *place, logs=tmp_path / "log"):
        _, *arguments = [places.get(word, word) for word in shlex.split(request)]
        done = foretable(*arguments, *place)
    assert done.code == 0, done.err
    wanted, answer = json.loads(shown), json.loads(done.out)
    wanted["request"]["topic"] = topics["requests"]
    assert {**answer, "outputs": None} == {**wanted, "outputs": None}
    assert answer["outputs"]["on_time"] == pytest.approx(wanted["outputs"]["on_time"], abs=0.05)


def test_every_flight_is_scored_as_shown(registry: Path, tmp_path: Path) -> None:
    (commands,) = [block for block in _blocks("") if "foretable score" in block]
    places = {"models": str(registry), "rows": str(tmp_path / "rows"), "scored": str(tmp_path / "scored")}
    outputs = []
    for line in commands.splitlines():
        name, *arguments = shlex.split(line.partition("#")[0])
        arguments = [places.get(argument, argument) for argument in arguments]
        done = foretable(*arguments) if name == "foretable" else python(arguments[1], *arguments[2:])
        assert done.code == 0, done.err
        outputs.append(done.out)
    assert "336,776 of 336,776 rows scored by release 1" in outputs[1]
    assert outputs[2] == "0 of 336,776 rows could not be scored\n"
    scored = pq.read_table(tmp_path / "scored")
    assert scored.num_rows == 336_776
    assert set(scored["source"].cast("string").unique().to_pylist()) == {"table"}
    predictor = Predictor.open(str(registry), MODEL)
    for row in scored.slice(0, 3).to_pylist():
        features = {name: row[name] for name in predictor.space.names}
        assert predictor.predict_row(features).values == (row["on_time"],)


def test_uint8_table_gives_the_same_bytes_as_its_model(registry: Path) -> None:
    for command in ("precompute", "publish"):
        label = ["--label", "small"] if command == "publish" else ["--runner", "local"]
        done = foretable(command, MODEL, "--registry", str(registry), "--codec", "uint8", *label)
        assert done.code == 0, done.err
    predictor = Predictor.open(str(registry), MODEL, label="small")
    assert predictor.table is not None
    ordinals = range(0, predictor.space.size, 84_671)
    rows = [predictor.space.row(ordinal) for ordinal in ordinals]
    table = predictor.predict_rows(rows)
    model = predictor.infer(predictor.space.encode_rows(rows).inputs)
    assert table.source.tolist() == [1] * len(rows)
    assert table.values.tobytes() == model.tobytes()


def test_readme_is_short_enough_to_read() -> None:
    table = README[README.index("<!-- bench:begin -->") : README.index("<!-- bench:end -->")]
    assert README.count("\n") - table.count("\n") <= 130
