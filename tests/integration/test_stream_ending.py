"""How a stream begins without brokers and ends: by SIGTERM, busy or idle, and by another of its name."""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import psutil
import pytest
from kafka.admin import KafkaAdminClient
from kafka.errors import CoordinatorNotAvailableError

from services.ports import HOST, reserve_ports
from streaming.clients.client import CLIENTS
from tests.support.kafka import Kafka
from tests.support.kafka_topic import values_in
from tests.support.stream_records import ROW
from tests.support.stream_topics import PARTITIONS, Topics
from tests.support.synthetic import SPINNING_NAME, SPINS_AT, numbers_rows, publish_numbers
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kafka

# What the program may take beyond --drain-s, and what this machine may.
LEAVE_S, SLACK_S = 5, 5
# Longer than a test waits: who left is not waited for.
LONG_SESSION = ("--session-s", "45")


@pytest.fixture(params=CLIENTS)
def topics(kafka: Kafka, request: pytest.FixtureRequest) -> Topics:
    return Topics.fresh(kafka, request.param)


def members_of(topics: Topics) -> list[Any] | None:
    """Return the group's members; None where there is no coordinator yet, as on a new broker."""
    with KafkaAdminClient(bootstrap_servers=topics.kafka.bootstrap) as admin:
        try:
            found: list[Any] = admin.describe_groups([topics.requests])[topics.requests]["members"]
        except CoordinatorNotAvailableError:
            return None
    return found


def readiness(port: int) -> tuple[int, Any]:
    """Return the status and what it says, (0, None) where nobody listens yet."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/readyz", timeout=30) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)
    except OSError:
        return 0, None


def test_one_that_ends_hands_its_partitions_over_at_once(topics: Topics, published: Path, tmp_path: Path) -> None:
    topics.fill(*[ROW] * 30)
    with topics.stream(published, tmp_path, *LONG_SESSION) as first:
        first.wait_for_metric("foretable_stream_records_total", 30)
        with topics.stream(published, tmp_path, *LONG_SESSION, instance="b") as second:
            wait_until(lambda: second.metric("foretable_stream_partitions") > 0, what="both have some")
            assert first.stop() == 0
            wait_until(
                lambda: second.metric("foretable_stream_partitions") == PARTITIONS, what="it has all", timeout_s=15
            )
            topics.fill(*[ROW] * 30)
            wait_until(lambda: len(topics.places()) == 60, what="all are answered", timeout_s=15)
            assert second.stop() == 0
    assert members_of(topics) == []


def test_a_batch_that_never_ends_is_given_up(topics: Topics, tmp_path: Path) -> None:
    publish_numbers(str(tmp_path), spinning=True)
    topics.fill({**numbers_rows(1)[0], "price": SPINS_AT})
    with topics.stream(tmp_path, tmp_path, *LONG_SESSION, "--drain-s", "2", model=SPINNING_NAME) as running:
        wait_until(lambda: members_of(topics), what="it has joined")
        process = psutil.Process(running.process.pid)
        before_s = process.cpu_times().user
        wait_until(lambda: process.cpu_times().user > before_s + 2, what="it computes, as one that waits does not")
        began = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - began < 2 + LEAVE_S + SLACK_S
        assert "must be answered within --drain-s 2" in running.log
    assert members_of(topics) == []
    assert values_in(topics.kafka.bootstrap, topics.predictions) == []


def test_of_two_with_one_name_the_older_ends(topics: Topics, published: Path, tmp_path: Path) -> None:
    topics.fill(*[ROW] * 30)
    with topics.stream(published, tmp_path) as older:
        older.wait_for_metric("foretable_stream_records_total", 30)
        with topics.stream(published, tmp_path) as newer:
            topics.fill(*[ROW] * 300)
            assert older.process.wait(timeout=60) == 75
            assert "Another instance took its place: let that one go on." in older.log
            wait_until(lambda: len(topics.places()) == 330, what="all are answered")
            assert newer.stop() == 0
    assert len(set(topics.places())) == 330


def test_brokers_that_are_away_are_told_and_keep_nobody(topics: Topics, published: Path, tmp_path: Path) -> None:
    port = reserve_ports(["monitor"])["monitor"]
    options = (*LONG_SESSION, "--monitor-port", str(port), "--drain-s", "2")
    with topics.kafka.without_broker():
        process = topics.stream(published, tmp_path, *options)
        wait_until(lambda: readiness(port)[0] == 503, what="it listens")
        assert topics.kafka.bootstrap in readiness(port)[1]["reason"]
        assert "connecting to the brokers at" in process.log
        began = time.monotonic()
        process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(timeout=60) == 0
        assert time.monotonic() - began < 2 + LEAVE_S + SLACK_S
        process.__exit__()
    with topics.stream(published, tmp_path, *options) as running:
        wait_until(lambda: readiness(port)[0] == 200, what="it takes part")
        topics.fill(*[ROW] * 30)
        wait_until(lambda: len(topics.places()) == 30, what="all are answered")
        with topics.kafka.without_broker():
            wait_until(lambda: readiness(port)[0] == 503, what="it notices")
            assert topics.kafka.bootstrap in readiness(port)[1]["reason"]
            began = time.monotonic()
            assert running.stop() == 0
            assert time.monotonic() - began < 2 + LEAVE_S + SLACK_S
