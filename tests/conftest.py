"""What all tests share: an environment free of the developer's settings, and the services a test may ask for."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.support.hadoop import Hadoop, running_hadoop
from tests.support.kafka import Kafka, running_kafka
from tests.support.services import find_java_home, missing_service

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# TensorFlow reads these when it is first loaded, so they are set before any test module is.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

# A shell that runs something in the background has SIGINT ignored, and all children inherit that: those that tests
# interrupt would never end.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline: shared machines stall for longer than any useful one. In CI the examples are the same in every run.
hypothesis.settings.register_profile("laptop", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") == "true" else "laptop")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hides the developer's own FORETABLE_ variables: a program reads them as settings."""
    for name in [name for name in os.environ if name.startswith("FORETABLE_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with releases of both synthetic models, which tests must not write to."""
    from tests.support.synthetic import publish_numbers, publish_synthetic

    root = tmp_path_factory.mktemp("published")
    publish_synthetic(str(root))
    publish_numbers(str(root))
    return root


@pytest.fixture
def registry(published: Path, tmp_path: Path) -> Path:
    """The same, of one's own."""
    return Path(shutil.copytree(published, tmp_path / "registry"))


@pytest.fixture(scope="session")
def java_home() -> str:
    """The home of a Java that Spark runs on. The test skips (in CI: fails) where there is none."""
    home = find_java_home()
    if home is None:
        missing_service("Java 17 or 21", "Run `make java`.")
    os.environ["JAVA_HOME"] = home
    return home


@pytest.fixture(scope="session")
def hdfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hadoop]:
    """HDFS with two DataNodes. The test skips (in CI: fails) where it cannot run."""
    with running_hadoop(tmp_path_factory.mktemp("hadoop")) as hadoop:
        yield hadoop


@pytest.fixture(scope="session")
def yarn(hdfs: Hadoop) -> Hadoop:
    """The same HDFS, with YARN beside it."""
    if hdfs.cluster is not None:
        hdfs.cluster.start("yarn")
    return hdfs


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A Kafka broker. The test skips (in CI: fails) where it cannot run."""
    with running_kafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def spark(java_home: str) -> Iterator[SparkSession]:
    """The one Spark session of all tests, with the settings of a laptop."""
    from pyspark.sql import SparkSession

    from jobs.spark_runner import SparkRunner

    SparkRunner(None, 2)
    session = SparkSession.builder.getOrCreate()
    yield session
    session.stop()
