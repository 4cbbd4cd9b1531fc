"""The Kafka that other tests stand on: a real broker, killed and started again, and both clients."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import confluent_kafka
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import MessageSizeTooLargeError, UnknownTopicOrPartitionError

from services.errors import DaemonFailed
from services.kafka.cluster import KafkaCluster
from services.ports import HOST
from services.process import ProcessIdentity
from tests.support.hadoop import Hadoop
from tests.support.kafka import EXTERNAL, Kafka, running_kafka
from tests.support.standing import Standing, standing_services
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kafka
ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 60


@pytest.fixture
def standing(tmp_path: Path, kafka: Kafka) -> Iterator[Standing]:
    """The command, where Kafka can run at all."""
    with standing_services(tmp_path / "services") as services:
        yield services


def write_with_kafka_python(kafka: Kafka, topic: str, transactions: Sequence[tuple[list[bytes], bool]]) -> None:
    """Write one transaction after the other, each committed or aborted."""
    with KafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=f"{topic}-writer") as producer:
        producer.init_transactions()
        for values, committed in transactions:
            producer.begin_transaction()
            for value in values:
                producer.send(topic, value)
            producer.flush()  # an aborted transaction's records are to be there
            (producer.commit_transaction if committed else producer.abort_transaction)()


def write_with_confluent(kafka: Kafka, topic: str, transactions: Sequence[tuple[list[bytes], bool]]) -> None:
    """Write one transaction after the other, each committed or aborted."""
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": kafka.bootstrap, "transactional.id": f"{topic}-confluent-writer"}
    )
    producer.init_transactions(TIMEOUT_S)
    for values, committed in transactions:
        producer.begin_transaction()
        for value in values:
            producer.produce(topic, value)
        producer.flush()
        (producer.commit_transaction if committed else producer.abort_transaction)(TIMEOUT_S)


def read_with_kafka_python(kafka: Kafka, topic: str, last: bytes) -> list[bytes]:
    """Return the committed values up to ``last``."""
    found: list[bytes] = []
    with KafkaConsumer(bootstrap_servers=kafka.bootstrap, isolation_level="read_committed") as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        consumer.seek_to_beginning()

        def read() -> bool:
            for records in consumer.poll(timeout_ms=100).values():
                found.extend(record.value for record in records)
            return last in found

        wait_until(read, what=f"{last!r} is read")
    return found


def read_with_confluent(kafka: Kafka, topic: str, last: bytes) -> list[bytes]:
    """Return the committed values up to ``last``."""
    found: list[bytes] = []
    settings = {"bootstrap.servers": kafka.bootstrap, "group.id": topic, "isolation.level": "read_committed"}
    consumer = confluent_kafka.Consumer(settings)
    try:
        consumer.assign([confluent_kafka.TopicPartition(topic, 0, confluent_kafka.OFFSET_BEGINNING)])

        def read() -> bool:
            message = consumer.poll(0.1)
            if message is not None:
                assert message.error() is None
                found.append(message.value() or b"")
            return last in found

        wait_until(read, what=f"{last!r} is read")
    finally:
        consumer.close()
    return found


@pytest.mark.parametrize("write", [write_with_kafka_python, write_with_confluent])
def test_only_committed_transactions_are_read(kafka: Kafka, write: Callable[..., None]) -> None:
    topic = kafka.fresh_topic("transactions")
    write(kafka, topic, [([b"a", b"b"], True), ([b"aborted"], False), ([b"c"], True)])
    assert read_with_kafka_python(kafka, topic, b"c") == [b"a", b"b", b"c"]
    assert read_with_confluent(kafka, topic, b"c") == [b"a", b"b", b"c"]


def test_a_fresh_topic_is_as_asked(kafka: Kafka) -> None:
    one, other = (kafka.fresh_topic("same", partitions=3, config={"max.message.bytes": "1000"}) for _ in range(2))
    assert one != other
    with KafkaAdminClient(bootstrap_servers=kafka.bootstrap) as admin:
        (found,) = admin.describe_topics([one])
        assert sorted(partition["partition_index"] for partition in found["partitions"]) == [0, 1, 2]
    with KafkaProducer(bootstrap_servers=kafka.bootstrap) as producer, pytest.raises(MessageSizeTooLargeError):
        producer.send(one, b"x" * 2_000).get(TIMEOUT_S)


def test_a_topic_is_not_made_by_its_use(kafka: Kafka) -> None:
    with KafkaAdminClient(bootstrap_servers=kafka.bootstrap) as admin:
        (found,) = admin.describe_topics(["mistyped"])
        assert found["error_code"] == UnknownTopicOrPartitionError.errno
        assert "mistyped" not in admin.list_topics()


def test_records_survive_the_broker(kafka: Kafka) -> None:
    topic = kafka.fresh_topic("survives")
    before = kafka.broker.identity
    write_with_kafka_python(kafka, topic, [([b"a"], True)])  # most times, its markers are not written before the kill
    host, _, port = kafka.bootstrap.rpartition(":")
    with kafka.without_broker(), pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)
    killed = kafka.broker.identity
    assert killed != before
    assert read_with_kafka_python(kafka, topic, b"a") == [b"a"]
    write_with_confluent(kafka, topic, [([b"b"], True)])
    kafka.restart()
    assert kafka.broker.identity != killed
    write_with_kafka_python(kafka, topic, [([b"c"], True)])
    assert read_with_confluent(kafka, topic, b"c") == [b"a", b"b", b"c"]


def test_up_down_and_up_again(standing: Standing) -> None:
    first = standing("up", "kafka")
    assert first.code == 0, first.err
    says, export = first.out.splitlines()
    bootstrap = says.removeprefix("# Kafka is ")
    assert export == f"export KAFKA_BOOTSTRAP_SERVERS={bootstrap}"
    assert standing("env").out == export + "\n"
    assert list(standing.processes()) == ["kafka"]
    topic = Kafka(bootstrap, None).fresh_topic("stays")

    down = standing("down")
    assert (down.code, down.out) == (0, "kafka: stopped\n")
    assert standing("env").code == 64
    assert standing("up", "kafka").out == first.out
    with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
        assert topic in admin.list_topics()


def test_it_starts_after_a_start_that_was_killed(kafka: Kafka) -> None:
    topic = kafka.fresh_topic("early")
    with kafka.without_broker():
        kafka.broker.launch()
        kafka.broker.kill()
    write_with_confluent(kafka, topic, [([b"a"], True)])
    assert read_with_kafka_python(kafka, topic, b"a") == [b"a"]


@pytest.mark.hadoop
def test_services_of_two_kinds_stand_side_by_side(standing: Standing, hdfs: Hadoop) -> None:
    kafka_alone = standing("up", "kafka")
    both = standing("up", "kafka", "hdfs")
    assert both.code == 0, both.err
    assert list(standing.processes()) == ["kafka", "namenode", "datanode-1", "datanode-2"]
    assert set(kafka_alone.out.splitlines()) < set(both.out.splitlines())
    assert standing("env").out.splitlines() == [line for line in both.out.splitlines() if not line.startswith("#")]
    assert standing("down").out.count("stopped") == 4


def test_a_broker_that_cannot_start_shows_its_log(kafka: Kafka, tmp_path: Path) -> None:
    cluster = KafkaCluster(tmp_path, leashed=True)
    with socket.socket() as squatter:
        squatter.bind((HOST, cluster.ports["kafka-broker"]))
        squatter.listen()
        try:
            with pytest.raises(DaemonFailed, match=r"(?s)kafka: must keep running; .*Address already in use"):
                cluster.start("kafka")
        finally:
            cluster.stop()


@pytest.mark.skipif(not shutil.which("setpriv"), reason="the leash is util-linux's setpriv")
def test_it_ends_with_its_owner_even_when_that_is_killed(kafka: Kafka, tmp_path: Path) -> None:
    owner = f"""
import signal
from pathlib import Path
from services.kafka.cluster import KafkaCluster
cluster = KafkaCluster(Path({str(tmp_path)!r}), leashed=True)
cluster.start("kafka")
print(cluster.broker.identity.pid, cluster.broker.identity.started_s, flush=True)
signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", owner], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            pid, started_s = process.stdout.readline().split()
        finally:
            os.kill(process.pid, signal.SIGKILL)
    identity = ProcessIdentity(int(pid), float(started_s))
    wait_until(lambda: not identity.alive, what="the broker has ended with its owner")


def test_an_external_broker_is_used_and_never_stopped(
    kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(EXTERNAL, kafka.bootstrap)
    with running_kafka(tmp_path) as external:
        assert (external.bootstrap, external.killable) == (kafka.bootstrap, False)
        with pytest.raises(pytest.skip.Exception, match="not ours"), external.without_broker():
            pass
        with pytest.raises(pytest.skip.Exception, match="not ours"):
            external.restart()
        assert external.fresh_topic("external")
    assert not list(tmp_path.iterdir())
    assert not kafka.killable or kafka.broker.running
