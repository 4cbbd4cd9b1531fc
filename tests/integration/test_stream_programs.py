"""`foretable dead-letters` and `foretable request`, as users run them, on a real broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from streaming.clients.client import CLIENTS
from streaming.outcome import MODEL, POISON, TRANSIENT
from tests.support.kafka import Kafka
from tests.support.letters import asked, letter, read_committed, write
from tests.support.programs import BIN, ROOT, Finished, finish, foretable, start
from tests.support.stream_records import BAD, ROW
from tests.support.synthetic import FINITE_NAME
from tests.support.waiting import wait_until

pytestmark = pytest.mark.kafka


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def topics(kafka: Kafka) -> tuple[str, str]:
    """A topic of dead letters, and that of the requests."""
    return kafka.fresh_topic("dead"), kafka.fresh_topic("requests", partitions=2)


def letters(kafka: Kafka, client: str, action: str, topic: str, *options: str) -> Finished:
    """Run an action of `foretable dead-letters`."""
    return foretable("dead-letters", action, *options, "--topic", topic, environment=place(kafka, client))


def place(kafka: Kafka, client: str) -> dict[str, str]:
    """The environment of a container beside a stream's: what only the stream reads is in it, too."""
    return {"FORETABLE_BROKERS": kafka.bootstrap, "FORETABLE_CLIENT": client, "FORETABLE_MODEL": "synthetic"}


def values(kafka: Kafka, topic: str, partitions: int = 2) -> Counter[bytes]:
    return Counter(record.value for record in read_committed(kafka, topic, partitions))


def test_list_counts_and_shows_the_newest(kafka: Kafka, client: str, topics: tuple[str, str]) -> None:
    dead, requests = topics
    write(kafka, [letter(asked(requests, number), dead) for number in range(3)], transactional_id=f"{dead}-writer")
    write(kafka, [letter(asked(requests, 3), dead, disposition=TRANSIENT, cause="transient")])

    found = letters(kafka, client, "list", dead, "--json", "--limit", "2").json()
    assert [one["letter"] for one in found["letters"]] == ["0:2", "0:4"]  # 3 is the mark of the transaction
    assert found["letters"][0]["origin"] == {"topic": requests, "partition": 0, "offset": 2}
    assert found["counts"] == [
        {"disposition": "poison", "cause": "unknown_category", "letters": 3},
        {"disposition": "transient", "cause": "transient", "letters": 1},
    ]
    table = letters(kafka, client, "list", dead, "--disposition", "transient", "--since", "1d")
    assert table.code == 0, table.err
    assert [line.split()[0] for line in table.out.splitlines() if line][:2] == ["letter", "0:4"]
    assert "1 dead letters" in table.out
    assert letters(kafka, client, "list", dead, "--since", "2100-01-01").out == "0 dead letters\n"


def test_show_shows_one_letter_whole(kafka: Kafka, client: str, topics: tuple[str, str]) -> None:
    dead, requests = topics
    write(kafka, [letter(asked(requests, 7), dead)], transactional_id=f"{dead}-writer")
    shown = letters(kafka, client, "show", dead, "0:0")
    assert shown.code == 0, shown.err
    assert f"origin      {requests} 0:7" in shown.out
    assert '  "city": "city 7",\n' in shown.out
    assert "\x1b" not in shown.out
    for nowhere in ("0:1", "0:99", "4:0"):  # the transaction's mark, past the end, no such partition
        missing = letters(kafka, client, "show", dead, nowhere)
        assert missing.code == 64
        assert "a letter must lie there; got none" in missing.err


def test_replay_twice_sends_once(kafka: Kafka, client: str, topics: tuple[str, str]) -> None:
    dead, requests = topics
    write(
        kafka,
        [
            letter(
                asked(requests, 0, partition=1, headers=[("foretable-attempts", b"2")]), dead, disposition=TRANSIENT
            ),
            letter(asked(requests, 1), dead, disposition=POISON),
            letter(asked(requests, 2), dead, disposition=TRANSIENT, whole=False),
            letter(asked(requests, 3), dead, disposition=TRANSIENT, redact=["city"]),
            letter(asked(requests, 4), dead, disposition=TRANSIENT),
        ],
    )
    dry = letters(kafka, client, "replay", dead, "--dry-run", "--json").json()
    assert dry["sent"] == {requests: 2}
    assert read_committed(kafka, requests, 2) == []

    first = letters(kafka, client, "replay", dead, "--json")
    assert first.json() == {
        "sent": {requests: 2},
        "passed_over": 1,
        "not_replayable": {"a digest stands for its value": 1, "it is redacted": 1},
    }
    second = letters(kafka, client, "replay", dead, "--all")
    assert (second.code, second.out) == (0, "0 letters sent\n"), second.err
    assert letters(kafka, client, "replay", dead, "--dry-run").out == "0 letters would be sent\n"

    sent = {record.key: record for record in read_committed(kafka, requests, 2)}
    assert sorted(sent) == [b"k0", b"k4"]
    assert sent[b"k0"].value == asked(requests, 0).value
    assert (sent[b"k0"].partition, sent[b"k4"].partition) == (1, 0)
    assert dict(sent[b"k0"].headers) == {"correlation-id": b"id-0", "empty": b"", "foretable-attempts": b"3"}

    write(kafka, [letter(asked(requests, 5), dead, disposition=MODEL)])
    later = letters(kafka, client, "replay", dead, "--disposition", "poison,model")
    assert later.out == f"1 letters sent to {requests}\n"


def test_replay_elsewhere(kafka: Kafka, client: str, topics: tuple[str, str]) -> None:
    dead, _ = topics
    other = kafka.fresh_topic("other")
    write(kafka, [letter(asked("gone", 0, partition=5), dead, disposition=TRANSIENT)])
    refused = letters(kafka, client, "replay", dead)
    assert refused.code == 64, refused.err
    assert "'gone'" in refused.err
    assert letters(kafka, client, "replay", dead, "--to", other).out == f"1 letters sent to {other}\n"
    assert values(kafka, other, 1) == {asked("gone", 0).value: 1}


def test_a_killed_replay_sends_each_letter_once(kafka: Kafka, client: str, topics: tuple[str, str]) -> None:
    dead, requests = topics
    many = [asked(requests, number, partition=number % 2) for number in range(600)]
    write(kafka, [letter(record, dead, disposition=TRANSIENT) for record in many])
    command = [str(BIN / "foretable"), "dead-letters", "replay", "--topic", dead, "--batch-records", "2"]
    for sent in (40, 200):
        process = start(*command, environment=place(kafka, client))
        wait_until(lambda least=sent: values(kafka, requests).total() >= least, what=f"{sent} letters are sent")  # type: ignore[misc]
        os.kill(process.pid, signal.SIGKILL)
        assert finish(process).code == -signal.SIGKILL
    assert values(kafka, requests).total() < 600
    last = finish(start(*command, environment=place(kafka, client)))
    assert last.code == 0, last.err
    assert values(kafka, requests) == Counter(record.value for record in many)


def test_an_interrupted_replay_says_what_it_did(kafka: Kafka, client: str, topics: tuple[str, str]) -> None:
    dead, requests = topics
    write(kafka, [letter(asked(requests, number), dead, disposition=TRANSIENT) for number in range(2000)])
    command = [str(BIN / "foretable"), "dead-letters", "replay", "--topic", dead, "--batch-records", "1", "--json"]
    process = start(*command, environment=place(kafka, client))
    wait_until(lambda: values(kafka, requests), what="the replay is under way")
    process.send_signal(signal.SIGINT)
    done = finish(process)
    assert done.code == 130
    assert json.loads(done.out)["sent"] == {requests: values(kafka, requests).total()}
    assert "interrupted" in done.err


def test_of_two_replays_the_newer_goes_on(kafka: Kafka, client: str, topics: tuple[str, str]) -> None:
    dead, requests = topics
    many = [asked(requests, number) for number in range(1500)]
    write(kafka, [letter(record, dead, disposition=TRANSIENT) for record in many])
    command = [str(BIN / "foretable"), "dead-letters", "replay", "--topic", dead, "--json"]
    older = start(*command, "--batch-records", "1", environment=place(kafka, client))
    wait_until(lambda: values(kafka, requests), what="the older is under way")
    newer = finish(start(*command, environment=place(kafka, client)))
    told = finish(older)
    assert (newer.code, told.code) == (0, 75), told.err
    assert values(kafka, requests) == Counter(record.value for record in many)
    sent = [json.loads(done.out)["sent"].get(requests, 0) for done in (newer, told)]
    assert min(sent) > 0
    assert sum(sent) == 1500


def test_wrong_settings(kafka: Kafka) -> None:
    environment = place(kafka, "kafka-python")
    missing = foretable("dead-letters", "list", "--topic", "nowhere", environment=environment)
    assert missing.code == 64
    assert "nowhere" in missing.err
    unknown = foretable("dead-letters", "remove", environment=environment)
    assert (unknown.code, "list, show or replay" in unknown.err) == (64, True)
    away = foretable(
        "request", "--topic", "t", "--input", "-", "--brokers", "127.0.0.1:1", "--sasl-password", "hush",
        "--sasl-mechanism", "ROT13", environment=environment,
    )  # fmt: skip
    assert away.code == 64
    assert "hush" not in away.err


def rows_file(directory: Path, rows: list[dict[str, Any]]) -> str:
    path = directory / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.fixture
def stream(kafka: Kafka, client: str, published: Path) -> Iterator[dict[str, str]]:
    """A real stream of the synthetic model; its topics as the options of `request` name them."""
    topics = {
        "--topic": kafka.fresh_topic("requests", partitions=2),
        "--predictions": kafka.fresh_topic("predictions", partitions=2),
        "--dead-letters": kafka.fresh_topic("dead"),
    }
    names = dict(zip(("--requests", "--predictions", "--dead-letters"), topics.values(), strict=True))
    options = {**names, "--registry": str(published), "--group": topics["--topic"], "--monitor-port": "0"}
    command = [str(BIN / "foretable"), "stream", FINITE_NAME, *(part for pair in options.items() for part in pair)]
    environment = {name: value for name, value in place(kafka, client).items() if name != "FORETABLE_MODEL"}
    process = start(*command, environment=environment)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("answering"), finish(process).err
        yield topics
    finally:
        process.send_signal(signal.SIGTERM)
        assert finish(process).code == 0


def request(kafka: Kafka, client: str, topics: dict[str, str], *options: str) -> Finished:
    """Run `foretable request` with a stream's topics."""
    named = [part for pair in topics.items() for part in pair]
    trace = {"TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    return foretable("request", *named, *options, environment=place(kafka, client) | trace)


def test_requests_are_answered_in_order(kafka: Kafka, client: str, stream: dict[str, str], tmp_path: Path) -> None:
    rows = [{**ROW, "age": age % 100} for age in range(300)]
    output = tmp_path / "answers.jsonl"
    done = request(
        kafka, client, stream, "--input", rows_file(tmp_path, rows), "--key", "age", "--wait", "--output", str(output)
    )
    assert done.code == 0, done.err
    assert "sent 300 requests of 300 rows" in done.err
    assert "answered 300, dead letters 0, missing 0" in done.err
    assert "p50 " in done.err
    answers = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert len(answers) == 300
    sent = {(r.partition, r.offset): r for r in read_committed(kafka, stream["--topic"], 2)}
    for row, answer in zip(rows, answers, strict=True):
        record = sent[answer["request"]["partition"], answer["request"]["offset"]]
        assert json.loads(record.value) == row
        assert record.key == str(row["age"]).encode()
        assert dict(record.headers)["traceparent"].startswith(b"00-0af7")
    assert len({record.partition for record in sent.values()}) == 2


def test_several_rows_a_record_and_arrow(kafka: Kafka, client: str, stream: dict[str, str], tmp_path: Path) -> None:
    rows = [{**ROW, "age": age} for age in range(1, 8)]
    source = rows_file(tmp_path, rows)
    parquet = str(tmp_path / "rows.parquet")
    pq.write_table(pa.Table.from_pylist(rows), parquet)
    clicks = []
    for options in (["--input", source], ["--input", source, "--arrow"], ["--input", parquet, "--arrow"]):
        done = request(kafka, client, stream, *options, "--rows-a-record", "3", "--deadline-ms", "60000", "--wait")
        assert done.code == 0, done.err
        answers = [json.loads(line)["predictions"] for line in done.out.splitlines()]
        assert [len(each) for each in answers] == [3, 3, 1]
        clicks.append([row.get("click", row.get("outputs", {}).get("click")) for each in answers for row in each])
    assert clicks[1] == clicks[2]
    assert clicks[0] == pytest.approx(clicks[1])


def test_dead_letters_among_the_answers(kafka: Kafka, client: str, stream: dict[str, str], tmp_path: Path) -> None:
    source = rows_file(tmp_path, [ROW, BAD, ROW])
    done = request(kafka, client, stream, "--input", source, "--wait")
    assert done.code == 65, done.err
    good, bad, also = map(json.loads, done.out.splitlines())
    assert good["outputs"] == also["outputs"]
    assert bad["dead_letter"]["feature"] == "city"
    listed = letters(kafka, client, "list", stream["--dead-letters"], "--json").json()
    assert listed["letters"] == [bad["dead_letter"]]


def test_nothing_comes_in_time(kafka: Kafka, client: str, tmp_path: Path) -> None:
    topics = {"--topic": kafka.fresh_topic("requests"), "--predictions": kafka.fresh_topic("predictions")}
    source = rows_file(tmp_path, [ROW, ROW])
    done = request(kafka, client, topics, "--input", source, "--wait", "--timeout-s", "0.2")
    assert (done.code, done.out) == (75, '{"missing":true}\n' * 2), done.err
    assert "answered 0, dead letters 0, missing 2" in done.err
    sent_only = request(kafka, client, topics, "--input", source)
    assert (sent_only.code, sent_only.out) == (0, ""), sent_only.err
    assert len(read_committed(kafka, topics["--topic"])) == 4


def test_interrupted_while_it_waits(kafka: Kafka, client: str, tmp_path: Path) -> None:
    topic, predictions = kafka.fresh_topic("requests"), kafka.fresh_topic("predictions")
    output = tmp_path / "answers.jsonl"
    command = [str(BIN / "foretable"), "request", "--topic", topic, "--input", rows_file(tmp_path, [ROW]), "--wait"]
    process = start(*command, "--predictions", predictions, "--output", str(output), environment=place(kafka, client))
    wait_until(lambda: read_committed(kafka, topic), what="the request is sent")
    process.send_signal(signal.SIGINT)
    done = finish(process)
    assert done.code == 130
    assert "answered 0, dead letters 0, missing 1" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_standard_input_that_keeps_one_waiting(kafka: Kafka, client: str, stream: dict[str, str]) -> None:
    named = [part for pair in stream.items() for part in pair]
    read, written = os.pipe()
    command = [str(BIN / "foretable"), "request", *named, "--input", "-", "--wait"]
    environment = {**os.environ, **place(kafka, client)}
    with (
        os.fdopen(written, "wb", buffering=0) as rows,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdin=read, stdout=-1, stderr=-1, text=True) as process,
    ):
        os.close(read)
        assert process.stdout is not None
        for age in (1, 2):  # the second is written when the first is answered
            rows.write(json.dumps({**ROW, "age": age}).encode() + b"\n")
            assert "outputs" in json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "answered 2, dead letters 0, missing 0" in told


def test_a_line_that_is_no_row(kafka: Kafka, tmp_path: Path) -> None:
    topic = kafka.fresh_topic("requests")
    source = tmp_path / "rows.jsonl"
    source.write_text(json.dumps(ROW) + "\n[1]\n", encoding="utf-8")
    done = request(kafka, "kafka-python", {"--topic": topic}, "--input", str(source))
    assert done.code == 65
    assert "line 2 must be a JSON object" in done.err
    assert "sent 1 requests" in done.err
