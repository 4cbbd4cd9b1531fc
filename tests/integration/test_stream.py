"""The stream's program on a real broker, with both clients."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.predictor import Predictor
from engine.registry import Registry
from tests.support.kafka import Kafka
from tests.support.kafka_topic import seen_in
from tests.support.stream_records import BAD, MISS, ROW, arrow
from tests.support.stream_topics import PARTITIONS, Topics
from tests.support.synthetic import FINITE_NAME, publish_synthetic
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kafka


@pytest.fixture(params=["kafka-python", "confluent"])
def topics(kafka: Kafka, request: pytest.FixtureRequest) -> Topics:
    return Topics.fresh(kafka, request.param)


def test_answers_carry_the_same_bits_and_bad_ones_go_aside(topics: Topics, published: Path, tmp_path: Path) -> None:
    topics.fill(ROW, MISS, BAD, b"{", [ROW, BAD], arrow([ROW, MISS]))
    with topics.stream(published, tmp_path) as running:
        running.wait_for_metric("foretable_stream_records_total", 6)
        assert running.stop() == 0
        assert "Traceback" not in running.log
    predictor = Predictor.open(str(published), FINITE_NAME)
    wanted = [predictor.infer(predictor.space.encode_row(row))[0].tobytes() for row in (ROW, MISS)]

    def bits(outputs: Any) -> bytes:
        return np.array([outputs["click"], *outputs["share"]], np.float32).tobytes()

    seen = seen_in(topics.kafka.bootstrap, topics.predictions)
    documents = [json.loads(each.value) for each in seen if each.value and each.value[:1] == b"{"]
    (many,) = [each for each in documents if "predictions" in each]
    singles = {each["source"]: each for each in documents if "outputs" in each}
    assert [bits(singles[source]["outputs"]) for source in ("table", "model")] == wanted
    assert bits(many["predictions"][0]["outputs"]) == wanted[0]
    assert many["predictions"][1]["fault"]["cause"] == "unknown_category"
    (stream,) = [each for each in seen if each.value and each.value[:1] == b"\xff"]
    assert stream.value
    assert [bits(row) for row in pa.ipc.open_stream(stream.value).read_all().to_pylist()] == wanted
    assert json.loads(dict(stream.headers)["foretable-request"] or b"")["topic"] == topics.requests
    letters = seen_in(topics.kafka.bootstrap, topics.dead_letters)
    assert {dict(each.headers)["foretable-cause"] for each in letters} == {b"unknown_category", b"bad_body"}
    assert {each.value for each in letters} == {json.dumps(BAD).encode(), b"{"}


def test_goes_on_where_it_stopped(topics: Topics, published: Path, tmp_path: Path) -> None:
    for round_ in range(2):
        topics.fill(*[ROW] * 30)
        with topics.stream(published, tmp_path) as running:
            running.wait_for_metric("foretable_stream_records_total", 30)
            running.wait_for_metric("foretable_stream_lag_records", 0)
            assert running.stop() == 0
        assert len(topics.answers()) == 30 * (round_ + 1)
    assert sorted(topics.places()) == [(p, offset) for p in range(PARTITIONS) for offset in range(20)]


@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_killed_one_is_taken_over(topics: Topics, published: Path, tmp_path: Path, delivery: str) -> None:
    options = ("--delivery", delivery, "--batch-records", "20")
    topics.fill(*[ROW] * 3000)
    with topics.stream(published, tmp_path, *options) as first:
        wait_until(lambda: first.metric("foretable_stream_records_total") > 100, what="it has begun", timeout_s=60)
        assert first.stop(signal.SIGKILL) == -signal.SIGKILL
    with topics.stream(published, tmp_path, *options) as second:
        wait_until(lambda: len(set(topics.places())) == 3000, what="all are answered", timeout_s=120)
        assert second.stop() == 0
    places = topics.places()
    if delivery == "exactly-once":
        assert len(places) == 3000
        for partition in range(PARTITIONS):
            offsets = [offset for number, offset in places if number == partition]
            assert offsets == sorted(offsets)


def test_release_changes_between_two_transactions(topics: Topics, registry: Path, tmp_path: Path) -> None:
    with topics.stream(registry, tmp_path, "--poll-s", "0.05") as running:
        topics.fill(*[ROW] * 300)
        publish_synthetic(str(registry), "uint8")
        wait_until(lambda: len(topics.places()) == 300, what="all are answered", timeout_s=60)
        models = Registry(str(registry)).model(FINITE_NAME)
        assert models.head("production").release == 2
        topics.fill(*[ROW] * 30)
        wait_until(lambda: len(topics.places()) == 330, what="all are answered", timeout_s=60)
        running.wait_for_metric("foretable_release", 2)
    answers = {(each["release"], json.dumps(each["outputs"])) for each in topics.answers()}
    assert len(answers) == len({release for release, _ in answers})  # each release has one answer to one row
    assert 2 in {release for release, _ in answers}


def test_broker_that_is_away_is_waited_for(topics: Topics, published: Path, tmp_path: Path) -> None:
    topics.fill(*[ROW] * 50)
    with topics.kafka.without_broker():
        process = topics.stream(published, tmp_path)
        wait_until(lambda: "waiting for the brokers" in process.log, what="it says so", timeout_s=60)
    with process as running:
        wait_until(lambda: len(topics.places()) == 50, what="all are answered", timeout_s=120)
        with topics.kafka.without_broker():
            wait_until(lambda: "trying again" in running.log, what="it notices", timeout_s=60)
        topics.fill(*[ROW] * 50)
        wait_until(lambda: len(topics.places()) == 100, what="all are answered", timeout_s=120)
        assert running.stop() == 0


def test_missing_topic_and_wrong_settings_end_it(topics: Topics, published: Path, tmp_path: Path) -> None:
    process = topics.stream(published, tmp_path, "--predictions", "no-such-topic")
    assert process.process.wait(timeout=60) == 64
    assert "no-such-topic" in process.log
    assert process.process.stdout
    process.process.stdout.close()
