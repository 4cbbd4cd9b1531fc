"""The daily job on a real YARN and HDFS, by the commands of docs/yarn.md: the same bytes as on one machine."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.predictor import Predictor
from engine.registry import Registry
from engine.storage import open_storage
from tests.support.hadoop import Hadoop
from tests.support.programs import BIN, ROOT, Finished, finish, start
from tests.support.serving import ServerProcess
from tests.support.spark_on_yarn import small_properties, spark_home
from tests.support.synthetic import FINITE_NAME, publish_synthetic, synthetic_space

pytestmark = [pytest.mark.hadoop, pytest.mark.spark, pytest.mark.timeout(900)]

DATE = "2026-01-31"
FILE_ROWS, GROUP_ROWS = 3_000, 1_000
_CLIENT_MODE_ONLY = {"spark.driver.host", "spark.driver.bindAddress"}
SPLITS = 4  # one a partition: they never span two


@dataclass(frozen=True)
class Walk:
    """What the commands left."""

    url: str
    environment: dict[str, str]
    archive: Path
    ended: dict[str, Finished]

    def run(self, line: str, *more: str) -> Finished:
        """Run a command of the document on this test's own names."""
        places = {
            "hdfs:///": f"{self.url}/",
            "flights": FINITE_NAME,
            "foretable.tar.gz": str(self.archive),
            "jobs/score.py": str(ROOT / "jobs" / "score.py"),
        }
        words = shlex.split(line)
        for place, here in places.items():
            words = [word.replace(place, here) for word in words]
        return finish(start(str(BIN / words[0]), *words[1:], *more, environment=self.environment))


def document(heading: str) -> list[str]:
    """Return the commands of one block of docs/yarn.md."""
    text = (ROOT / "docs" / "yarn.md").read_text().partition(heading)[2]
    found = re.search(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found
    return found[1].replace("\\\n", " ").splitlines()


@pytest.fixture(scope="module")
def environment(yarn: Hadoop, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A user's shell: the virtual environment first on PATH, and Spark's defaults for small containers."""
    conf = tmp_path_factory.mktemp("spark-conf")
    # Of cluster mode's driver, Spark knows the host itself, and it must listen there.
    properties = {name: value for name, value in small_properties(yarn).items() if name not in _CLIENT_MODE_ONLY}
    lines = [f"{name} {value}" for name, value in properties.items()]
    (conf / "spark-defaults.conf").write_text("\n".join(lines))
    return {
        **yarn.environment,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "SPARK_CONF_DIR": str(conf),
        "SPARK_HOME": str(spark_home()),
    }


@pytest.fixture(scope="module")
def walk(yarn: Hadoop, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """Run the document's commands in order, up to the server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HADOOP_CONF_DIR", str(yarn.conf_dir))
        url = yarn.fresh("walk")
        publish_synthetic(f"{url}/models", with_table=False)
        write_rows(f"{url}/rows")
    walk = Walk(url, environment, tmp_path_factory.mktemp("pack") / "foretable.tar.gz", {})
    for line in document("# The daily job on YARN"):
        name = next(name for name in ("pack", "precompute", "publish", "score.py", "serve") if name in line)
        if name == "serve":
            break
        walk.ended[name] = walk.run(line, "--json")
        assert walk.ended[name].code == 0, f"{line}\n{walk.ended[name].err[-8000:]}"
    return walk


def write_rows(url: str) -> None:
    space, random = synthetic_space(), np.random.default_rng(1)
    storage = open_storage(url)
    for part in range(SPLITS):
        rows = [dict(space.row(int(ordinal))) for ordinal in random.integers(0, space.size, FILE_ROWS)]
        columns = {name: [row[name] for row in rows] for name in space.names}
        table = pa.table({"id": list(range(FILE_ROWS)), **columns})
        storage.create_with(
            f"{DATE}/hour={part:02}/rows.parquet",
            lambda file, table=table: pq.write_table(table, file, row_group_size=GROUP_ROWS),  # type: ignore[misc]
        )


def tree(url: str) -> dict[str, bytes]:
    """All that is below a URL, less the times of manifests and the seals over them."""
    storage = open_storage(url)
    found = {file.path: storage.read(file.path) for file in storage.walk("", hidden=True)}
    for path in [path for path in found if path.endswith("manifest.json")]:
        manifest = json.loads(found[path])
        del manifest["time"], manifest["sha256"]
        found[path] = json.dumps(manifest).encode()
    return found


@pytest.fixture(autouse=True)
def _configuration(yarn: Hadoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HADOOP_CONF_DIR", str(yarn.conf_dir))


def test_precompute_writes_the_local_runners_shards(walk: Walk, tmp_path: Path) -> None:
    table = walk.ended["precompute"].json()["table"]
    bundles = open_storage(f"{walk.url}/models/{FINITE_NAME}/bundles")
    for file in bundles.walk("", hidden=True):
        open_storage(f"{tmp_path}/{FINITE_NAME}/bundles").create(file.path, bundles.read(file.path))
    program = [str(BIN / "foretable"), "precompute", FINITE_NAME, "--registry", str(tmp_path), "--runner", "local"]
    done = finish(start(*program, "--json")).json()
    assert done["table"] == table
    assert (walk.ended["precompute"].json()["runner"], done["runner"]) == ("spark", "local")
    assert tree(f"{walk.url}/models/{FINITE_NAME}/tables/{table}") == tree(f"{tmp_path}/{FINITE_NAME}/tables/{table}")


def test_scores_are_the_local_runners_byte_for_byte(walk: Walk) -> None:
    (line,) = [line for line in document("# The daily job on YARN") if "score.py" in line]
    options = line.partition("jobs/score.py")[2].replace("hdfs:///scored", "hdfs:///local")
    local = walk.run(f"foretable score {options} --runner local --json").json()
    cluster = walk.ended["score.py"].json()
    assert (cluster["runner"], local["runner"]) == ("spark", "local")
    assert cluster["scored"] == SPLITS * FILE_ROWS
    found = tree(f"{walk.url}/scored/{DATE}")
    assert sum(path.endswith(".parquet") for path in found) == SPLITS
    assert found == tree(f"{walk.url}/local/{DATE}")


def test_splits_run_where_their_blocks_are(walk: Walk) -> None:
    started = re.findall(r"Starting task .*, partition (\d+), (\w+)", walk.ended["score.py"].err)
    assert len({partition for partition, _ in started}) == SPLITS
    assert {locality for _, locality in started} == {"NODE_LOCAL"}


def test_a_server_serves_the_table_that_the_cluster_wrote(walk: Walk, tmp_path: Path) -> None:
    row = synthetic_space().row(7)
    wanted = Predictor.open(f"{walk.url}/models", FINITE_NAME).predict_row(row)
    with ServerProcess(f"{walk.url}/models", FINITE_NAME, logs=tmp_path / "log", **walk.environment) as server:
        status, _, body = server.request(f"/v1/models/{FINITE_NAME}:predict", {"instances": [dict(row)]})
    assert status == 200, body
    assert wanted.source.text == "table"
    (found,) = json.loads(body)["predictions"]
    assert [found["click"], *found["share"]] == [np.float32(value) for value in wanted.values]
    assert Registry(f"{walk.url}/models").model(FINITE_NAME).head("production").release == 2


def test_executors_and_the_driver_of_cluster_mode_import_from_the_archive(walk: Walk) -> None:
    line, url = cluster_line(), f"{walk.url}/reports/one.json"
    command = line.partition("jobs/score.py")[0]
    ended = walk.run(f"{command} {ROOT / 'tests/support/executor_report.py'} {url}")
    assert ended.code == 0, ended.err[-8000:]
    report = json.loads(open_storage(f"{walk.url}/reports").read("one.json"))
    processes = [*report["workers"], report["driver"]]
    assert [worker["split"] for worker in processes] == [0, 1, 2, 3, -1]
    for process in processes:
        assert "/foretable.tar.gz/lib/engine/__init__.py" in process["engine"]
        assert process["prefix"] != sys.prefix
        assert "tensorflow" not in process["heavy"]


def test_cluster_mode_leaves_its_exit_code_and_message_beside_the_output(walk: Walk) -> None:
    ended = walk.run(cluster_line().replace("scored", "refused"), "--label", "nobody")
    assert ended.code == 1
    (application,) = set(re.findall(r"application_\d+_\d+", ended.err))
    record = json.loads(open_storage(f"{walk.url}/refused").read(f"_{DATE}.outcome/{application}-1.json"))
    assert (record["exit_code"], record["application"], record["attempt"]) == (64, application, 1)
    assert "nobody" in record["message"]
    assert not open_storage(f"{walk.url}/refused").exists(DATE)


def cluster_line() -> str:
    (line,) = document("## Cluster mode")
    return line
