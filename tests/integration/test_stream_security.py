"""The stream and its requests through a listener that asks who comes, by SASL over TLS, with both clients."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streaming.clients.client import CLIENTS
from tests.support.certificate import make_certificate
from tests.support.kafka import Kafka
from tests.support.programs import Finished, foretable
from tests.support.stream_process import StreamProcess
from tests.support.stream_records import ROW
from tests.support.stream_topics import Topics

pytestmark = pytest.mark.kafka


@pytest.fixture(params=CLIENTS)
def topics(kafka: Kafka, request: pytest.FixtureRequest) -> Topics:
    return Topics.fresh(kafka, request.param)


def secured(kafka: Kafka, **changed: str) -> list[str]:
    """Return the options that let a program in, but for what is changed."""
    bootstrap, listener = kafka.secured()
    given = {
        "brokers": bootstrap,
        "security-protocol": "SASL_SSL",
        "sasl-mechanism": "SCRAM-SHA-512",
        "sasl-username": listener.user,
        "sasl-password": listener.password,
        "ssl-ca": str(listener.certificate),
    }
    named = {name.replace("_", "-"): value for name, value in changed.items()}
    return [part for name, value in (given | named).items() for part in (f"--{name}", value)]


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_both_programs_get_in_and_tell_nobody_the_password(
    topics: Topics, published: Path, tmp_path: Path, mechanism: str
) -> None:
    options = secured(topics.kafka, sasl_mechanism=mechanism)
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps(ROW) + "\n", encoding="utf-8")
    with topics.stream(published, tmp_path, *options) as running:
        asked = foretable(
            "request", "--client", topics.client, "--topic", topics.requests, "--predictions", topics.predictions,
            "--input", str(rows), "--wait", *options,
        )  # fmt: skip
        assert asked.code == 0, asked.err
        assert json.loads(asked.out)["source"] == "table"
        assert running.stop() == 0
    assert "sasl_password='***'" in running.log
    assert_no_password_in(topics.kafka, running.announcement, running.log, asked.out, asked.err)


def test_a_wrong_password_ends_it(topics: Topics, published: Path, tmp_path: Path) -> None:
    told = refused(topics, published, tmp_path, sasl_password="not-the-password")
    assert told.code == 64, told.err
    assert "uthentication" in told.err
    assert "not-the-password" not in told.err
    assert_no_password_in(topics.kafka, told.out, told.err)


def test_a_broker_of_another_authority_ends_it(topics: Topics, published: Path, tmp_path: Path) -> None:
    stranger, _ = make_certificate(tmp_path)
    told = refused(topics, published, tmp_path, ssl_ca=str(stranger))
    assert told.code == 64, told.err
    assert "certificate verify failed" in told.err
    assert_no_password_in(topics.kafka, told.out, told.err)


def refused(topics: Topics, registry: Path, folder: Path, **changed: str) -> Finished:
    """Return what a stream leaves that is not let in."""
    process = topics.stream(registry, folder, *secured(topics.kafka, **changed))
    return ended(process)


def ended(process: StreamProcess) -> Finished:
    out, _ = process.process.communicate(timeout=40)
    return Finished(process.process.returncode, out, process.log)


def assert_no_password_in(kafka: Kafka, *texts: str) -> None:
    _, listener = kafka.secured()
    assert not any(listener.password in text for text in texts)
