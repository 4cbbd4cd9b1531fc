"""The loop, over a client that fails where a test says so."""

from __future__ import annotations

import json
import random
import threading
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import Unavailable
from engine.predictor import Predictor
from streaming.clients.client import Aborted, Fenced
from streaming.config import StreamConfig
from streaming.loop import Loop
from streaming.metrics import StreamMetrics
from streaming.record import Outgoing, Record
from streaming.streamed import Streamed
from tests.support.scripted_client import ScriptedClient
from tests.support.stream_records import BAD, MISS, ROW, arrow, record

SETTINGS: dict[str, Any] = {
    "registry": "r",
    "model": "m",
    "brokers": "b",
    "requests": "requests",
    "predictions": "predictions",
    "dead_letters": "letters",
}


def loop_of(client: ScriptedClient, release: Streamed, **settings: Any) -> tuple[Loop, StreamMetrics]:
    metrics = StreamMetrics()
    return Loop(client, lambda: release, StreamConfig(**{**SETTINGS, **settings}), metrics), metrics


def run(client: ScriptedClient, loop: Loop, requests: list[Record]) -> None:
    """Run until all is committed."""
    stop, turn = threading.Event(), loop.turn

    def turn_and_look() -> int:
        done = turn()
        if sum(client.offsets.values()) == len(requests):
            stop.set()
        return done

    loop.turn = turn_and_look  # type: ignore[method-assign]
    loop.run(stop)


def origins(client: ScriptedClient) -> list[tuple[int, int]]:
    """Return of which partition and offset each committed answer or dead letter is, in their order."""
    return [origin(outgoing) for outgoing in client.committed]


def origin(outgoing: Outgoing) -> tuple[int, int]:
    if outgoing.partition.topic == "predictions":
        told = json.loads(outgoing.value or b"")["request"]
    else:
        told = json.loads(dict(outgoing.headers)["foretable-origin"] or b"")
    return told["partition"], told["offset"]


def requests_of(rows: list[Any], partitions: int = 2) -> list[Record]:
    """Spread rows over partitions."""
    counts = dict.fromkeys(range(partitions), 0)
    found = []
    for place, row in enumerate(rows):
        partition = place % partitions
        found.append(record(row, counts[partition], partition=partition))
        counts[partition] += 1
    return found


def assert_each_once_in_order(client: ScriptedClient, requests: list[Record]) -> None:
    found = origins(client)
    assert sorted(found) == sorted((r.partition.number, r.offset) for r in requests)
    for partition in {number for number, _ in found}:
        offsets = [offset for number, offset in found if number == partition]
        assert offsets == sorted(offsets)


def test_good_and_bad_go_their_ways(release: Streamed) -> None:
    requests = requests_of([ROW, BAD, MISS, b"{", None, [ROW, BAD]])
    client = ScriptedClient(requests)
    loop, metrics = loop_of(client, release)
    run(client, loop, requests)
    assert_each_once_in_order(client, requests)
    topics = [outgoing.partition.topic for outgoing in client.committed]
    assert (topics.count("predictions"), topics.count("letters")) == (3, 3)
    assert metrics.registry.get_sample_value("foretable_stream_records_total") == 6
    poison = {"disposition": "poison", "cause": "unknown_category"}
    assert metrics.registry.get_sample_value("foretable_stream_dead_letters_total", poison) == 1


def test_key_and_headers_come_back(release: Streamed) -> None:
    headers = (("correlation-id", b"c"), ("traceparent", b"t"), ("reply-to", None))
    client = ScriptedClient([record(ROW, headers=headers, key=b"k")])
    loop, _ = loop_of(client, release)
    assert loop.turn() == 1
    (answer,) = client.committed
    assert (answer.key, answer.headers) == (b"k", headers)


@pytest.mark.parametrize("fails", [False, True])
def test_arrow_is_answered_beside_others(release: Streamed, monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    """Also where each record is tried alone, since the model fails at one of them."""
    predict = Predictor.predict_rows

    def fail(self: Predictor, rows: Any, **options: Any) -> Any:
        if fails and MISS in rows:
            raise ZeroDivisionError
        return predict(self, rows, **options)

    monkeypatch.setattr(Predictor, "predict_rows", fail)
    headers = (("content-type", b"of the request"), ("correlation-id", b"c"))
    requests = [record(value, place, headers=headers) for place, value in enumerate((ROW, arrow([ROW]), MISS))]
    client = ScriptedClient(requests)
    loop, _ = loop_of(client, release)
    assert loop.turn() == 3
    first, second, third = client.committed
    assert first.headers == headers
    assert second.headers[:2] == (headers[1], ("content-type", b"application/vnd.apache.arrow.stream"))
    origin = {"topic": "requests", "partition": 0, "offset": 1, "timestamp_ms": 1_700_000_000_000}
    assert [(name, json.loads(value or b"")) for name, value in second.headers[2:]] == [("foretable-request", origin)]
    assert third.headers[:2] == headers
    assert third.partition.topic == ("letters" if fails else "predictions")


class Script:
    """Fails and loses partitions at random steps, a bounded number of times."""

    def __init__(self, seed: int, faults: int) -> None:
        self.random, self.left = random.Random(seed), faults
        self.client: ScriptedClient

    def __call__(self, step: str) -> None:
        if not self.left or self.random.random() > 0.2:
            return
        self.left -= 1
        if step == "poll" and self.random.random() < 0.7:
            self.client.give_away_and_back(self.random.choice(sorted(self.client.assigned)))
        elif step == "commit":
            raise self.random.choice([Aborted, Unavailable])(step)
        else:
            raise Unavailable(step)


@hypothesis.settings(max_examples=60, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1 << 30), faults=st.integers(0, 12), most=st.integers(1, 9), slow=st.booleans())
def test_whatever_fails_each_is_answered_once(
    release: Streamed, monkeypatch: pytest.MonkeyPatch, seed: int, faults: int, most: int, slow: bool
) -> None:
    be_patient(monkeypatch, 0.0 if slow else 60.0)
    requests = requests_of([ROW, MISS, BAD, [ROW, MISS]] * 6)
    script = Script(seed, faults)
    script.client = client = ScriptedClient(requests, script)
    profile = "throughput" if seed % 2 else "latency"
    loop, _ = loop_of(client, release, batch_records=most, profile=profile, attempts=1000)
    run(client, loop, requests)
    assert_each_once_in_order(client, requests)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back off for no time; wait for a batch as if each took long."""
    be_patient(monkeypatch, 0.0)


def be_patient(monkeypatch: pytest.MonkeyPatch, patience_s: float) -> None:
    monkeypatch.setattr("streaming.loop._FIRST_BACKOFF_S", 0.0)
    monkeypatch.setattr("streaming.loop._PATIENCE_S", patience_s)


def test_fenced_one_stops(release: Streamed) -> None:
    def step(name: str) -> None:
        if name == "commit":
            raise Fenced(name)

    client = ScriptedClient([record(ROW)], step)
    loop, _ = loop_of(client, release)
    with pytest.raises(Fenced):
        loop.run(threading.Event())
    assert client.committed == []


def test_answer_that_is_too_large_is_found_among_good_ones(release: Streamed, patient: None) -> None:
    requests = requests_of([ROW] * 9 + [[ROW] * 30] + [ROW] * 9)
    client = ScriptedClient(requests)
    client.largest = 1500
    loop, _ = loop_of(client, release)
    run(client, loop, requests)
    assert_each_once_in_order(client, requests)
    (letter,) = [outgoing for outgoing in client.committed if outgoing.partition.topic == "letters"]
    headers = dict(letter.headers)
    assert (letter.value, headers["foretable-cause"]) == (None, b"answer_too_large")


def test_model_that_fails_at_one_record(
    release: Streamed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    predict = Predictor.predict_rows

    def fail(self: Predictor, rows: Any, **options: Any) -> Any:
        if any(row["age"] == 66 for row in rows):
            message = "the model's own"
            raise ZeroDivisionError(message)
        return predict(self, rows, **options)

    monkeypatch.setattr(Predictor, "predict_rows", fail)
    requests = requests_of([ROW, {**ROW, "age": 66}, MISS])
    client = ScriptedClient(requests)
    loop, _ = loop_of(client, release)
    run(client, loop, requests)
    assert_each_once_in_order(client, requests)
    (letter,) = [outgoing for outgoing in client.committed if outgoing.partition.topic == "letters"]
    assert dict(letter.headers)["foretable-disposition"] == b"model"
    assert "the model failed at" in caplog.text


@pytest.mark.parametrize("failures, letters", [(4, 0), (5, 2)])
def test_fault_that_passes_is_tried_again_before_it_makes_dead_letters(
    release: Streamed, monkeypatch: pytest.MonkeyPatch, patient: None, failures: int, letters: int
) -> None:
    predict, left = Predictor.predict_rows, [failures]

    def fail(self: Predictor, rows: Any, **options: Any) -> Any:
        if left[0]:
            left[0] -= 1
            message = "the disk is away"
            raise Unavailable(message)
        return predict(self, rows, **options)

    monkeypatch.setattr(Predictor, "predict_rows", fail)
    requests = requests_of([ROW, MISS])
    client = ScriptedClient(requests)
    loop, _ = loop_of(client, release, attempts=5)
    run(client, loop, requests)
    assert_each_once_in_order(client, requests)
    found = [dict(each.headers) for each in client.committed if each.partition.topic == "letters"]
    assert [each["foretable-disposition"] for each in found] == [b"transient"] * letters


def test_brokers_that_fail_while_the_model_computes_make_no_dead_letters(
    release: Streamed, monkeypatch: pytest.MonkeyPatch, patient: None
) -> None:
    predict, go_on, polls = Predictor.predict_rows, threading.Event(), [0]

    def wait(self: Predictor, rows: Any, **options: Any) -> Any:
        assert go_on.wait(60)
        return predict(self, rows, **options)

    def step(name: str) -> None:
        polls[0] += name == "poll"
        if name == "poll" and 1 < polls[0] < 8:
            raise Unavailable(name)
        if polls[0] >= 8:
            go_on.set()

    monkeypatch.setattr(Predictor, "predict_rows", wait)
    requests = requests_of([ROW, MISS])
    client = ScriptedClient(requests, step)
    loop, _ = loop_of(client, release, attempts=1)
    run(client, loop, requests)
    assert_each_once_in_order(client, requests)
    assert {each.partition.topic for each in client.committed} == {"predictions"}


def test_batch_that_takes_too_long_is_given_up_after_a_signal(
    release: Streamed, monkeypatch: pytest.MonkeyPatch, patient: None
) -> None:
    go_on, stop = threading.Event(), threading.Event()

    def hang(self: Predictor, rows: Any, **options: Any) -> Any:
        stop.set()
        assert go_on.wait(60)
        raise AssertionError

    monkeypatch.setattr(Predictor, "predict_rows", hang)
    client = ScriptedClient([record(ROW)])
    loop, _ = loop_of(client, release, drain_s=1)
    loop.run(stop)
    assert client.committed == []
    go_on.set()


def test_lag_is_told(release: Streamed) -> None:
    requests = requests_of([[ROW, MISS]] * 4)
    client = ScriptedClient(requests)
    loop, metrics = loop_of(client, release, batch_records=3)
    loop.turn()
    assert metrics.registry.get_sample_value("foretable_stream_lag_records") == 1
    assert metrics.registry.get_sample_value("foretable_stream_lag_rows") == 2
    assert (metrics.registry.get_sample_value("foretable_stream_lag_work_seconds") or 0) > 0
    loop.turn(), loop.turn()
    assert metrics.registry.get_sample_value("foretable_stream_lag_records") == 0


def test_next_batch_of_a_backlog_is_polled_before_this_one_is_sent(
    release: Streamed, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_patient(monkeypatch, 60.0)
    requests, steps = requests_of([ROW] * 5), list[str]()
    client = ScriptedClient(requests, steps.append)
    loop, _ = loop_of(client, release, batch_records=2)
    while loop.turn():
        pass
    transaction = ["begin", "send", "commit"]
    # Two batches are full, and one is polled behind each; the third is not.
    assert steps == ["poll", "poll", *transaction, "poll", *transaction, *transaction, "poll"]
    assert_each_once_in_order(client, requests)


def test_what_was_polled_ahead_comes_again_after_a_commit_that_failed(release: Streamed) -> None:
    failing = [Aborted("commit")]

    def step(name: str) -> None:
        if name == "commit" and failing:
            raise failing.pop()

    requests = requests_of([ROW] * 6)
    client = ScriptedClient(requests, step)
    loop, _ = loop_of(client, release, batch_records=2)
    with pytest.raises(Aborted):
        loop.turn()
    loop._fail(Aborted("commit"))
    while loop.turn():
        pass
    assert_each_once_in_order(client, requests)


def test_partition_that_is_lost_while_the_next_batch_is_polled(release: Streamed) -> None:
    polls, lost = [0], requests_of([ROW])[0].partition

    def step(name: str) -> None:
        polls[0] += name == "poll"
        if name == "poll" and polls[0] == 2:
            client.give_away_and_back(lost)

    requests = requests_of([ROW] * 9)
    client = ScriptedClient(requests, step)
    loop, metrics = loop_of(client, release, batch_records=6)  # five of the first partition, one of the other
    assert loop.turn() == 1
    assert {origin(outgoing) for outgoing in client.committed} == {(1, 0)}
    run(client, loop, requests)
    assert_each_once_in_order(client, requests)
    assert metrics.registry.get_sample_value("foretable_stream_records_total") == 9
