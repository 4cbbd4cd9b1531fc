"""Programs on the tests' YARN, submitted as users submit them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from tests.support.hadoop import Hadoop
from tests.support.programs import BIN, Finished, finish, start

# Two small executors and the application's master, all quick to start and quick to hear of each other.
_CONF = {
    "spark.executor.instances": "2",
    "spark.executor.memory": "512m",
    "spark.executor.memoryOverhead": "384m",
    "spark.yarn.am.memory": "512m",
    "spark.driver.memory": "512m",
    "spark.executor.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
    "spark.yarn.am.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.yarn.report.interval": "200ms",
    "spark.yarn.scheduler.heartbeat.interval-ms": "200",
}


def submit_to_yarn(
    hadoop: Hadoop, program: Path, *arguments: str, conf: Mapping[str, str] | None = None, **environment: str
) -> Finished:
    """Run a Python program with ``spark-submit --master yarn --deploy-mode client``, and wait for its end.

    Args:
        hadoop: what the fixture ``yarn`` gives.
        program: the file to run.
        arguments: of the program.
        conf: Spark's properties, on top of those that keep it small.
        environment: on top of what a client of the cluster needs.
    """
    properties = {**small_properties(hadoop), **(conf or {})}
    options = [part for name, value in properties.items() for part in ("--conf", f"{name}={value}")]
    command = [str(BIN / "spark-submit"), "--master", "yarn", "--deploy-mode", "client", *options, str(program)]
    python = os.environ.get("PYSPARK_PYTHON", sys.executable)
    clean = {"SPARK_HOME": str(spark_home()), "PYSPARK_PYTHON": python, **hadoop.environment, **environment}
    return finish(start(*command, *arguments, environment=clean))


def small_properties(hadoop: Hadoop) -> dict[str, str]:
    """Return Spark's properties for small executors that are quick to start."""
    if not hadoop.cluster:
        return _CONF
    return {**_CONF, "spark.yarn.jars": f"local:{spark_home()}/jars/*"}  # the nodes see this machine's files


def spark_home() -> Path:
    """Return the directory of the installed Spark."""
    found = find_spec("pyspark")
    assert found
    assert found.origin
    return Path(found.origin).parent
