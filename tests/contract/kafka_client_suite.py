"""What every Kafka client keeps, on a real broker."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import pytest
from kafka import KafkaProducer

from engine.errors import BadSettings, Unavailable
from streaming.clients.client import Aborted, Client, ClientSettings, Fenced, TooLarge, open_client
from streaming.record import UNREADABLE, Outgoing, Partition, Record
from tests.support.kafka import Kafka
from tests.support.kafka_topic import Seen, fill, fill_at, seen_in, values_in
from tests.support.waiting import wait_until

SESSION_MS = 6_000  # the least that the broker takes

Open = Callable[..., Client]


def poll_until(condition: Callable[[], object], *clients: Client, what: str) -> list[Record]:
    """Polls clients in turn until the condition holds; returns what came."""
    records: list[Record] = []

    def turn() -> object:
        for client in clients:
            records.extend(client.poll(0.05, 1000))
        return condition()

    wait_until(turn, what=what)
    return records


def take(client: Client, count: int) -> list[Record]:
    """Polls until so many records came."""
    records: list[Record] = []

    def taken() -> bool:
        records.extend(client.poll(0.05, count - len(records)))
        return len(records) == count

    wait_until(taken, what=f"{count} records")
    return records


def next_offsets(records: Sequence[Record]) -> dict[Partition, int]:
    return {record.partition: record.offset + 1 for record in records}


def answer(client: Client, topic: str, records: Sequence[Record]) -> None:
    """Does what the stream does: one transaction of answers and offsets."""
    client.begin()
    for record in records:
        client.send(Outgoing(Partition(topic, 0), record.key, b"re " + (record.value or b"")))
    client.commit(next_offsets(records))


def again_until_done(call: Callable[[], object]) -> None:
    """Calls until it is no longer unavailable."""

    def done() -> bool:
        try:
            call()
        except Unavailable:
            return False
        return True

    wait_until(done, what="done")


class NoText(str):
    """A name that is sent as bytes that are no UTF-8, as producers in C can."""

    def encode(self, *_: str) -> bytes:
        return b"\xff\xfe"


def numbered(count: int) -> list[bytes]:
    return [b"%d" % index for index in range(count)]


def ignore(lost: Sequence[Partition]) -> None:
    """For tests that lose nothing, or do not mind."""


@pytest.mark.kafka
class ClientContract:
    """The suite."""

    name: ClassVar[str]

    @pytest.fixture
    def opened(self, kafka: Kafka) -> Iterator[Open]:
        """Opens members, whose group is the topic's name; closes them after."""
        clients: list[Client] = []

        def open_member(group: str, **settings: object) -> Client:
            given: dict[str, object] = {
                "servers": kafka.bootstrap,
                "group": group,
                "transactional_id": f"{group}-{len(clients)}",
                "session_timeout_ms": SESSION_MS,
            }
            client = open_client(self.name, ClientSettings(**(given | settings)))  # type: ignore[arg-type]
            clients.append(client)
            return client

        yield open_member
        for client in clients:
            client.close()

    @pytest.fixture
    def topics(self, kafka: Kafka) -> tuple[str, str]:
        """A topic of requests and one of answers, of one partition each."""
        return kafka.fresh_topic("requests"), kafka.fresh_topic("answers")

    # What comes, and what goes.

    def test_a_record_comes_as_it_was_sent(self, kafka: Kafka, opened: Open) -> None:
        topic = kafka.fresh_topic("whole", partitions=2)
        sent = [
            Outgoing(Partition(topic, 0), b"key", b"value", (("one", b"1"), ("two", b""), ("one", b"again"))),
            Outgoing(Partition(topic, 0), None, b"\x00\xff", (("null", None), ("umläut", b"\xff"))),
            Outgoing(Partition(topic, 0), b"tombstone", None),
            Outgoing(Partition(topic, 0), None, None),
            Outgoing(Partition(topic, 0), b"", b""),
            Outgoing(Partition(topic, 1), b"other", b"partition"),
        ]
        client = opened(topic)
        began_ms = time.time() * 1000
        client.begin()
        for record in sent:
            client.send(record)
        client.commit({})
        client.subscribe(topic, ignore)
        came = sorted(take(client, len(sent)), key=lambda record: record.partition)
        assert [(r.partition, r.key, r.value, r.headers) for r in came] == [tuple(record) for record in sent]
        assert [record.offset for record in came] == [0, 1, 2, 3, 4, 0]
        assert all(began_ms - 1 <= record.timestamp_ms <= time.time() * 1000 for record in came)
        assert seen_in(kafka.bootstrap, topic) == [Seen(one.partition.number, *one[1:]) for one in sent]

    def test_a_header_whose_name_is_no_text_stops_nobody(
        self, kafka: Kafka, opened: Open, topics: tuple[str, str]
    ) -> None:
        with KafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
            for name in ("one", NoText("other"), "third"):
                producer.send(topics[0], b"value", headers=[(name, b"of the header")])
        client = opened(topics[0])
        client.subscribe(topics[0], ignore)
        first, other, third = take(client, 3)
        assert (first.headers, third.headers) == ((("one", b"of the header"),), (("third", b"of the header"),))
        assert other.headers is UNREADABLE or other.headers == (("\ufffd\ufffd", b"of the header"),)
        assert (other.offset, other.value) == (1, b"value")

    def test_order_is_kept_through_many_batches(self, kafka: Kafka, opened: Open, topics: tuple[str, str]) -> None:
        requests, answers = topics
        fill(kafka.bootstrap, requests, numbered(20_000))
        client = opened(requests)
        client.subscribe(requests, ignore)
        done = 0
        while done < 20_000:
            records = client.poll(0.1, 3_000)
            assert len(records) <= 3_000
            assert [record.offset for record in records] == list(range(done, done + len(records)))
            if records:
                answer(client, answers, records)
            done += len(records)
        assert values_in(kafka.bootstrap, answers) == [b"re %d" % index for index in range(20_000)]

    def test_a_poll_with_nothing_to_return_ends_in_time(self, opened: Open, topics: tuple[str, str]) -> None:
        client = opened(topics[0])
        client.subscribe(topics[0], ignore)
        poll_until(lambda: client.assigned, client, what="assigned")
        began = time.monotonic()
        assert client.poll(0.3, 10) == []
        assert client.poll(0, 10) == []
        assert time.monotonic() - began < 2

    # Transactions.

    def test_the_next_member_continues_at_the_commit(self, kafka: Kafka, opened: Open, topics: tuple[str, str]) -> None:
        requests, answers = topics
        fill(kafka.bootstrap, requests, numbered(10))
        first = opened(requests)
        first.subscribe(requests, ignore)
        answer(first, answers, take(first, 4))
        take(first, 3)  # read, and not committed
        first.close()
        second = opened(requests)
        second.subscribe(requests, ignore)
        assert [record.offset for record in take(second, 6)] == [4, 5, 6, 7, 8, 9]
        assert values_in(kafka.bootstrap, answers) == [b"re 0", b"re 1", b"re 2", b"re 3"]

    def test_what_is_aborted_is_never_seen_and_comes_again(
        self, kafka: Kafka, opened: Open, topics: tuple[str, str]
    ) -> None:
        requests, answers = topics
        fill(kafka.bootstrap, requests, numbered(10))
        client = opened(requests)
        client.subscribe(requests, ignore)
        answer(client, answers, take(client, 3))
        records = take(client, 4)
        client.begin()
        for record in records:
            client.send(Outgoing(Partition(answers, 0), None, b"never %d" % record.offset))
        client.abort()
        client.rewind()
        again = take(client, 7)
        assert [record.offset for record in again] == [3, 4, 5, 6, 7, 8, 9]
        answer(client, answers, again)
        assert values_in(kafka.bootstrap, answers) == [b"re %d" % index for index in range(10)]

    def test_a_rewind_without_a_commit_goes_to_the_beginning(
        self, kafka: Kafka, opened: Open, topics: tuple[str, str]
    ) -> None:
        fill(kafka.bootstrap, topics[0], numbered(5))
        client = opened(topics[0])
        client.subscribe(topics[0], ignore)
        take(client, 5)
        client.rewind()
        assert [record.offset for record in take(client, 5)] == [0, 1, 2, 3, 4]

    def test_an_abort_of_nothing_is_nothing(self, opened: Open, topics: tuple[str, str]) -> None:
        client = opened(topics[0])
        client.abort()
        client.begin()
        client.abort()
        client.abort()
        client.rewind()
        client.begin()
        client.commit({})

    def test_the_newer_of_two_with_one_transactional_id_goes_on(
        self, kafka: Kafka, opened: Open, topics: tuple[str, str]
    ) -> None:
        requests, answers = topics
        fill(kafka.bootstrap, requests, numbered(3))
        older = opened(requests, transactional_id=requests)
        older.subscribe(requests, ignore)
        records = take(older, 3)
        older.begin()
        older.send(Outgoing(Partition(answers, 0), None, b"of the older"))
        newer = opened(f"{requests}-2", transactional_id=requests)
        with pytest.raises(Fenced, match="Another instance took its place"):
            older.commit(next_offsets(records))
        with pytest.raises(Fenced):
            older.abort()
        with pytest.raises(Fenced):
            older.begin()
        newer.begin()
        newer.send(Outgoing(Partition(answers, 0), None, b"of the newer"))
        newer.commit({})
        assert values_in(kafka.bootstrap, answers) == [b"of the newer"]

    def test_at_least_once_commits_after_what_was_sent(
        self, kafka: Kafka, opened: Open, topics: tuple[str, str]
    ) -> None:
        requests, answers = topics
        fill(kafka.bootstrap, requests, numbered(10))
        first = opened(requests, transactional_id=None)
        first.subscribe(requests, ignore)
        answer(first, answers, take(first, 4))
        first.begin()
        take(first, 2)
        first.abort()
        first.rewind()
        answer(first, answers, take(first, 2))
        first.close()
        second = opened(requests, transactional_id=None)
        second.subscribe(requests, ignore)
        assert [record.offset for record in take(second, 4)] == [6, 7, 8, 9]
        assert values_in(kafka.bootstrap, answers) == [b"re %d" % index for index in range(6)]

    # Records that are too large.

    @pytest.mark.parametrize("transactional_id", ["transactions", None])
    def test_a_record_too_large_for_its_topic_is_refused_alone(
        self, kafka: Kafka, opened: Open, transactional_id: str | None
    ) -> None:
        topic = kafka.fresh_topic("small", config={"max.message.bytes": "2000"})
        client = opened(topic, transactional_id=transactional_id and topic)
        assert client.partitions_of(topic) == 1
        client.begin()
        client.send(Outgoing(Partition(topic, 0), None, b"before"))
        with pytest.raises(TooLarge, match=rf"'{topic}'.* 2,000 bytes or fewer.* got one of about 2,0"):
            client.send(Outgoing(Partition(topic, 0), None, b"x" * 2000))
        with pytest.raises(TooLarge):
            client.send(Outgoing(Partition(topic, 0), b"x" * 1000, b"x", (("h", b"x" * 1000),)))
        for _ in range(200):  # more than a batch of what the topic takes
            client.send(Outgoing(Partition(topic, 0), None, b"x" * 1800))
        client.commit({})
        assert len(values_in(kafka.bootstrap, topic)) == 201

    @pytest.mark.parametrize("transactional_id", ["transactions", None])
    def test_a_record_that_the_broker_refuses_fails_the_commit(
        self, kafka: Kafka, opened: Open, topics: tuple[str, str], transactional_id: str | None
    ) -> None:
        requests, _ = topics
        small = kafka.fresh_topic("small", config={"max.message.bytes": "2000"})
        fill(kafka.bootstrap, requests, numbered(3))
        client = opened(requests, transactional_id=transactional_id and requests)
        client.subscribe(requests, ignore)
        records = take(client, 3)
        client.begin()
        client.send(Outgoing(Partition(small, 0), None, b"x" * 3000))
        with pytest.raises(TooLarge):
            client.commit(next_offsets(records))
        client.abort()
        client.rewind()
        answer(client, small, take(client, 3))
        assert values_in(kafka.bootstrap, small) == [b"re 0", b"re 1", b"re 2"]

    def test_a_record_larger_than_usual_goes_where_the_topic_takes_it(self, kafka: Kafka, opened: Open) -> None:
        topic = kafka.fresh_topic("large", config={"max.message.bytes": "9000000"})
        client = opened(topic)
        client.partitions_of(topic)
        client.subscribe(topic, ignore)
        client.begin()
        client.send(Outgoing(Partition(topic, 0), None, b"x" * 8_000_000))
        client.commit({})
        assert len(take(client, 1)[0].value or b"") == 8_000_000

    # The group.

    def test_members_share_partitions_and_take_over(self, kafka: Kafka, opened: Open) -> None:
        topic = kafka.fresh_topic("shared", partitions=4)
        lost: list[Partition] = []
        first = opened(topic)
        first.subscribe(topic, lost.extend)
        poll_until(lambda: len(first.assigned) == 4, first, what="all is the first's")
        before = first.assigned
        second = opened(topic, session_timeout_ms=45_000)
        second.subscribe(topic, ignore)
        poll_until(lambda: len(first.assigned) == len(second.assigned) == 2, first, second, what="shared")
        assert first.assigned | second.assigned == before
        assert frozenset(lost) == second.assigned
        assert len(lost) == 2
        began = time.monotonic()
        second.close()
        poll_until(lambda: first.assigned == before, first, what="all is the first's again")
        assert time.monotonic() - began < 20  # left, and not only timed out
        assert second.assigned == frozenset()

    def test_nothing_is_done_twice_when_a_member_is_killed(
        self, kafka: Kafka, opened: Open, topics: tuple[str, str]
    ) -> None:
        requests, answers = topics
        fill(kafka.bootstrap, requests, numbered(5))
        arguments = [self.name, kafka.bootstrap, requests, requests, answers]
        with subprocess.Popen(
            [sys.executable, "-m", "tests.support.kafka_member", *arguments], stdout=subprocess.PIPE, text=True
        ) as killed:
            assert killed.stdout is not None
            assert killed.stdout.readline() == "holding\n"
            client = opened(requests)
            client.subscribe(requests, ignore)
            assert client.poll(0.2, 10) == []
            killed.kill()
        answer(client, answers, take(client, 5))
        heir = opened(requests, transactional_id=f"{requests}-held")  # ends what the killed one left
        assert values_in(kafka.bootstrap, answers) == [b"re %d" % index for index in range(5)]
        heir.begin()
        heir.commit({})

    def test_a_stale_member_cannot_commit(self, kafka: Kafka, opened: Open, topics: tuple[str, str]) -> None:
        requests, answers = topics
        fill(kafka.bootstrap, requests, numbered(5))
        lost: list[Partition] = []
        stale = opened(requests, max_poll_interval_ms=SESSION_MS)
        stale.subscribe(requests, lost.extend)
        records = take(stale, 5)
        stale.begin()
        stale.send(Outgoing(Partition(answers, 0), None, b"stale"))
        other = opened(requests)
        other.subscribe(requests, ignore)
        answer(other, answers, take(other, 5))  # after the stale one did not poll for too long
        with pytest.raises(Aborted):
            stale.commit(next_offsets(records))
        stale.abort()
        stale.rewind()
        poll_until(lambda: lost, stale, other, what="the stale one hears of it")
        assert lost == [Partition(requests, 0)]
        assert values_in(kafka.bootstrap, answers) == [b"re %d" % index for index in range(5)]

    def test_what_was_lost_cannot_be_committed(self, kafka: Kafka, opened: Open) -> None:
        topic = kafka.fresh_topic("lost", partitions=2)
        fill(kafka.bootstrap, topic, numbered(2), partitions=2)
        lost: list[Partition] = []
        first = opened(topic)
        first.subscribe(topic, lost.extend)
        records = take(first, 2)
        second = opened(topic)
        second.subscribe(topic, ignore)
        poll_until(lambda: second.assigned, first, second, what="shared")
        first.begin()
        with pytest.raises(Aborted, match=rf"{topic}.* not any more"):
            first.commit(next_offsets(records))
        first.abort()
        kept = [record for record in records if record.partition not in lost]
        first.begin()
        first.commit(next_offsets(kept))

    def test_a_static_member_keeps_its_partitions(self, kafka: Kafka, opened: Open) -> None:
        topic = kafka.fresh_topic("static", partitions=2)
        fill(kafka.bootstrap, topic, numbered(4), partitions=2)
        lost: list[Partition] = []
        other = opened(topic, session_timeout_ms=45_000)
        other.subscribe(topic, lost.extend)
        first = opened(topic, instance_id="one", session_timeout_ms=45_000)
        first.subscribe(topic, ignore)
        poll_until(lambda: len(first.assigned) == len(other.assigned) == 1, first, other, what="shared")
        before, others = first.assigned, other.assigned
        lost.clear()
        first.close()
        again = opened(topic, instance_id="one", session_timeout_ms=45_000)
        again.subscribe(topic, ignore)
        poll_until(lambda: again.assigned, again, other, what="assigned again")
        assert again.assigned == before
        assert other.assigned == others
        assert lost == []

    # Paused partitions, and what waits.

    def test_paused_partitions_bring_nothing_and_lose_nothing(self, kafka: Kafka, opened: Open) -> None:
        topic = kafka.fresh_topic("paused", partitions=2)
        fill(kafka.bootstrap, topic, numbered(20), partitions=2)
        client = opened(topic)
        client.subscribe(topic, ignore)
        came = take(client, 3)
        quiet = Partition(topic, 0)
        client.pause([quiet, Partition("elsewhere", 0)])
        of_other = [record for record in came if record.partition != quiet]
        of_other += take(client, 10 - len(of_other))
        assert {record.partition for record in of_other} == {Partition(topic, 1)}
        assert client.poll(0.3, 10) == []
        client.resume([quiet])
        came = [record for record in came if record.partition == quiet]
        came += take(client, 10 - len(came))
        assert [record.offset for record in came] == list(range(10))
        assert {record.partition for record in came} == {quiet}

    def test_a_member_with_all_paused_stays_one(self, kafka: Kafka, opened: Open, topics: tuple[str, str]) -> None:
        requests, answers = topics
        fill(kafka.bootstrap, requests, numbered(3))
        lost: list[Partition] = []
        client = opened(requests, max_poll_interval_ms=SESSION_MS)
        client.subscribe(requests, lost.extend)
        records = take(client, 3)
        client.pause(client.assigned)
        until = time.monotonic() + 1.3 * SESSION_MS / 1000
        poll_until(lambda: time.monotonic() > until, client, what="longer than a member may be silent")
        answer(client, answers, records)
        assert lost == []

    def test_lag_is_what_waits(self, kafka: Kafka, opened: Open, topics: tuple[str, str]) -> None:
        requests, answers = topics
        zero = Partition(requests, 0)
        client = opened(requests)
        client.subscribe(requests, ignore)
        assert client.lag() == {}
        poll_until(lambda: client.assigned and client.lag() == {zero: (0, 0)}, client, what="nothing waits")
        writer = opened(f"{requests}-writer")
        for size in (5, 1, 1):  # each ends with a control record
            writer.begin()
            for value in numbered(size):
                writer.send(Outgoing(zero, None, value))
            writer.commit({})
        writer.begin()
        writer.send(Outgoing(zero, None, b"open"))
        records = take(client, 2)
        assert client.lag() == {zero: (2, 10)}
        client.pause([zero])
        assert client.poll(0.1, 10) == []
        assert client.lag() == {zero: (2, 10)}
        client.resume([zero])
        records += take(client, 5)
        poll_until(lambda: client.lag() == {zero: (10, 10)}, client, what="past the control record")
        answer(client, answers, records)
        writer.abort()
        poll_until(lambda: client.lag() == {zero: (12, 12)}, client, what="past what was aborted")
        client.rewind()
        poll_until(lambda: client.lag() == {zero: (12, 12)}, client, what="past it again")

    # Brokers that are away, and what is wrong.

    def test_a_broker_that_is_away_when_opening(self, kafka: Kafka, opened: Open, topics: tuple[str, str]) -> None:
        with kafka.without_broker():
            for transactional_id in ("transactions", None):
                began = time.monotonic()
                with pytest.raises(Unavailable) as caught:
                    opened(topics[0], transactional_id=transactional_id, answer_timeout_ms=1_000)
                assert type(caught.value) is Unavailable
                assert time.monotonic() - began < 10

    @pytest.mark.parametrize("transactional_id", ["transactions", None])
    def test_the_same_object_goes_on_when_the_broker_is_back(
        self,
        kafka: Kafka,
        opened: Open,
        topics: tuple[str, str],
        transactional_id: str | None,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        requests, answers = topics
        fill(kafka.bootstrap, requests, numbered(10))
        client = opened(requests, transactional_id=transactional_id and requests, answer_timeout_ms=3_000)
        client.subscribe(requests, ignore)
        answer(client, answers, take(client, 4))
        records = take(client, 3)
        client.begin()
        client.send(Outgoing(Partition(answers, 0), None, b"never"))
        client.abort()
        capfd.readouterr()
        with kafka.without_broker():
            with pytest.raises(Unavailable):
                poll_until(lambda: False, client, what="unreachable")
            with pytest.raises(Unavailable):
                answer(client, answers, records)
            if transactional_id:
                with pytest.raises(Unavailable):
                    client.abort()
            with pytest.raises(Unavailable):
                client.rewind()
            client.lag()
        again_until_done(client.abort)
        again_until_done(client.rewind)
        assert capfd.readouterr().err == ""
        rest: list[Record] = []

        def answer_the_rest() -> bool:
            rest.extend(client.poll(0.1, 100))
            return bool(rest) and rest[-1].offset == 9

        wait_until(answer_the_rest, what="the rest")
        assert [record.offset for record in rest] == [4, 5, 6, 7, 8, 9]
        answer(client, answers, rest)
        seen = values_in(kafka.bootstrap, answers)
        if transactional_id:
            assert seen == [b"re %d" % index for index in range(10)]
        else:
            assert {value for value in seen if value != b"never"} == {b"re %d" % index for index in range(10)}

    def test_a_broker_that_restarts_costs_nothing(self, kafka: Kafka, opened: Open, topics: tuple[str, str]) -> None:
        requests, answers = topics
        fill(kafka.bootstrap, requests, numbered(6))
        client = opened(requests)
        client.subscribe(requests, ignore)
        answer(client, answers, take(client, 3))
        kafka.restart()

        def answer_the_rest() -> None:
            again_until_done(client.abort)
            again_until_done(client.rewind)
            answer(client, answers, take(client, 3))

        again_until_done(answer_the_rest)
        assert values_in(kafka.bootstrap, answers) == [b"re %d" % index for index in range(6)]

    def test_closing_without_a_broker_ends(self, kafka: Kafka, opened: Open, topics: tuple[str, str]) -> None:
        fill(kafka.bootstrap, topics[0], numbered(1))
        client = opened(topics[0], answer_timeout_ms=2_000)
        client.subscribe(topics[0], ignore)
        take(client, 1)
        client.begin()
        client.send(Outgoing(Partition(topics[1], 0), None, b"never"))
        with kafka.without_broker():
            began = time.monotonic()
            client.close()
            assert time.monotonic() - began < 20
        client.close()
        assert values_in(kafka.bootstrap, topics[1]) == []

    def test_a_reader_takes_nothing_from_the_group(self, kafka: Kafka, opened: Open, topics: tuple[str, str]) -> None:
        topic = kafka.fresh_topic("shared", partitions=2)
        fill(kafka.bootstrap, topic, numbered(6), partitions=2)
        zero, one = Partition(topic, 0), Partition(topic, 1)
        member = opened(topic)
        member.subscribe(topic, ignore)
        done = take(member, 6)[0]
        answer(member, topics[1], [done])

        reader = opened(topic, transactional_id=None)
        reader.read({zero: 1, one: 2})
        came = take(reader, 3)
        assert {(record.partition, record.offset) for record in came} == {(zero, 1), (zero, 2), (one, 2)}
        assert reader.assigned == {zero, one} == member.assigned
        reader.rewind()  # to what the group has committed
        again = take(reader, 5)
        assert (done.partition, 0) not in {(record.partition, record.offset) for record in again}
        reader.begin()
        reader.send(Outgoing(Partition(topics[1], 0), None, b"of the reader"))
        reader.commit({})
        assert values_in(kafka.bootstrap, topics[1])[-1] == b"of the reader"

    def test_a_reader_begins_where_the_topic_does_and_at_its_end(
        self, kafka: Kafka, opened: Open, topics: tuple[str, str]
    ) -> None:
        topic, _ = topics
        writer, reader = opened(topic), opened(topic, transactional_id=None)
        partition = Partition(topic, 0)
        assert reader.bounds(topic) == {partition: (0, 0)}
        writer.begin()
        writer.send(Outgoing(partition, None, b"before"))
        writer.commit({})
        assert reader.bounds(topic) == {partition: (0, 2)}  # with the transaction's mark
        reader.read({partition: 0})
        poll_until(lambda: reader.lag().get(partition) == (2, 2), reader, what="past the mark")
        writer.begin()
        writer.send(Outgoing(partition, None, b"open"))
        assert reader.bounds(topic)[partition][1] == 2
        from_end = opened(topic, transactional_id=None)
        from_end.read({partition: 2})
        assert from_end.poll(0.2, 10) == []
        writer.commit({})
        assert [record.value for record in take(from_end, 1)] == [b"open"]
        with pytest.raises(BadSettings, match="topic 'no-such-topic'"):
            reader.bounds("no-such-topic")

    def test_bounds_since_a_time(self, kafka: Kafka, opened: Open) -> None:
        topic = kafka.fresh_topic("times", partitions=3)
        fill_at(kafka.bootstrap, topic, 0, [1000, 5000, 3000, 4000, 9000])
        fill_at(kafka.bootstrap, topic, 1, [2000])
        reader = opened(topic, transactional_id=None)
        zero, one, two = (Partition(topic, number) for number in range(3))
        assert reader.bounds(topic) == {zero: (0, 5), one: (0, 1), two: (0, 0)}
        for since_ms, first, only in ((1, 0, 0), (1000, 0, 0), (1001, 1, 0), (5000, 1, 1), (5001, 4, 1), (9001, 5, 1)):
            assert reader.bounds(topic, since_ms=since_ms) == {zero: (first, 5), one: (only, 1), two: (0, 0)}
        reader.read({partition: first for partition, (first, _) in reader.bounds(topic, since_ms=3500).items()})
        assert [record.timestamp_ms for record in take(reader, 4)] == [5000, 3000, 4000, 9000]

    def test_bounds_since_a_time_end_where_a_transaction_is_open(
        self, kafka: Kafka, opened: Open, topics: tuple[str, str]
    ) -> None:
        topic, _ = topics
        partition = Partition(topic, 0)
        fill_at(kafka.bootstrap, topic, 0, [1000])
        writer, reader = opened(topic), opened(topic, transactional_id=None)
        writer.begin()
        writer.send(Outgoing(partition, None, b"of now"))
        assert reader.bounds(topic, since_ms=2000) == {partition: (1, 1)}
        writer.commit({})
        assert reader.bounds(topic, since_ms=2000) == {partition: (1, 3)}  # with the transaction's mark

    def test_a_topic_that_does_not_exist_is_named(self, kafka: Kafka, opened: Open) -> None:
        client = opened(kafka.fresh_topic("group"))
        with pytest.raises(BadSettings, match="topic 'no-such-topic'"):
            client.partitions_of("no-such-topic")
        with pytest.raises(BadSettings, match="topic 'no-such-topic'"):
            client.subscribe("no-such-topic", ignore)
        assert client.partitions_of(kafka.fresh_topic("three", partitions=3)) == 3

    @pytest.mark.parametrize(
        "settings, named",
        [
            ({"servers": "no port"}, "no port"),
            ({"compression": "loud"}, "loud"),
            ({"security": {"sasl.kerberos": "x"}}, "sasl.kerberos"),
            ({"transaction_timeout_ms": 2**31 - 1}, "(?i)transaction.?timeout"),
        ],
    )
    def test_settings_that_are_wrong_are_named(
        self, opened: Open, topics: tuple[str, str], settings: dict[str, object], named: str
    ) -> None:
        with pytest.raises(BadSettings, match=named):
            opened(topics[0], answer_timeout_ms=2_000, **settings)
