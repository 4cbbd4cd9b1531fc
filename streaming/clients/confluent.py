"""The client by confluent-kafka (extra ``fast-kafka``): librdkafka, several times kafka-python's records."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from operator import itemgetter
from typing import Any, cast

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]

from engine.errors import BadSettings, Unavailable
from streaming.clients.client import FIRST_REACH_S, Aborted, ClientSettings, Lost
from streaming.clients.confluent_errors import explain, is_refusal, kafka_error_of
from streaming.clients.confluent_producer import ConfluentProducer
from streaming.clients.record_size import RecordSizes
from streaming.clients.security import checked_security
from streaming.record import UNREADABLE, Headers, Outgoing, Partition, Record

# A member hears of a rebalance by its heartbeat's answer: at the library's 3 s, cooperative ones, which take two
# rounds, leave partitions idle for as long twice over.
_HEARTBEAT_MS = 1_000
# The library's 10 s would go on without a broker that long after it is back.
_RECONNECT_MAX_MS = 500
# After the queue of fetched records was full, the library's 1 s would let it run empty.
_FETCH_QUEUE_BACKOFF_MS = 50
# What tells whether a broker is back, while polls bring nothing.
_REACH_TIMEOUT_S = 0.5
_LAG_TIMEOUT_S = 1.0

# A message of an error, too, may lack these to the checker; those that get here do not.
_number = cast("Callable[[Message], int]", Message.partition)
_offset = cast("Callable[[Message], int]", Message.offset)
_read_headers = cast("Callable[[Message], list[tuple[str, bytes | None]] | None]", Message.headers)
_new_record = partial(tuple.__new__, Record)  # NamedTuple's own constructor is Python, and takes three times as long


class ConfluentClient:
    """See ``Client``. librdkafka's threads do the network; its callbacks come in the caller's, within ``poll``."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._timeout_s = settings.answer_timeout_ms / 1000
        self._where = f"group {settings.group!r}"
        self._options = _common_options(settings)
        self._sizes = RecordSizes()
        self._partitions: dict[int, Partition] = {}  # by number, those assigned
        self._reached_ends: dict[int, int] = {}
        self._topic = ""
        self._lost: list[Partition] = []
        self._must_rewind = False
        self._away: KafkaError | None = None
        self._consumer = self._open_consumer()
        try:
            self._reach_first()
            self._producer = ConfluentProducer(settings, self._options, self._sizes)
        except BaseException:
            self._consumer.close()
            raise

    def _open_consumer(self) -> Consumer:
        settings = self._settings
        options = {
            **self._options,
            "error_cb": self._take_note_of_error,
            "group.id": settings.group,
            "session.timeout.ms": settings.session_timeout_ms,
            "heartbeat.interval.ms": min(_HEARTBEAT_MS, settings.session_timeout_ms // 3),
            "max.poll.interval.ms": max(settings.max_poll_interval_ms, settings.session_timeout_ms),
            "partition.assignment.strategy": "cooperative-sticky",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,  # tells that nothing waits, past control records
            "fetch.wait.max.ms": settings.fetch_wait_ms,
            "fetch.min.bytes": settings.fetch_min_bytes,
            "fetch.queue.backoff.ms": _FETCH_QUEUE_BACKOFF_MS,
        }
        if settings.instance_id is not None:
            options["group.instance.id"] = settings.instance_id
        try:
            return Consumer(options)
        except KafkaException as error:
            where = f"opening a consumer, {self._where}"
            raise explain(kafka_error_of(error), where, otherwise=BadSettings) from error

    def subscribe(self, topic: str, lost: Lost) -> None:
        """See ``Client``."""
        self.partitions_of(topic)
        self._topic = topic
        self._tell_lost = lost
        self._consumer.subscribe([topic], self._take_assigned, self._take_lost, self._take_lost)

    def read(self, starts: Mapping[Partition, int]) -> None:
        """See ``Client``."""
        self._topic = next(iter(starts)).topic
        self._partitions = {one.number: one for one in starts}
        self._consumer.assign([TopicPartition(*one, offset) for one, offset in starts.items()])

    def poll(self, timeout_s: float, most: int) -> list[Record]:
        """See ``Client``."""
        if self._must_rewind:
            self.rewind()
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                # With a time limit, `consume` waits until it has as many as were asked for, or the time is over.
                messages = self._consumer.consume(most, 0)
                if not messages:
                    messages = self._consumer.consume(1, max(0.0, deadline - time.monotonic()))
                    if messages and most > 1:
                        messages += self._consumer.consume(most - 1, 0)
            except KafkaException as error:
                raise explain(kafka_error_of(error), self._where, otherwise=Unavailable) from error
            finally:
                rebalanced = bool(self._lost)
                if rebalanced:
                    self._pass_on_lost()
            records = self._records_of(messages, rebalanced=rebalanced)
            if records:
                return records
            if time.monotonic() >= deadline:
                if self._away is not None:
                    self._reach(_REACH_TIMEOUT_S)
                return records

    def _records_of(self, messages: list[Message], *, rebalanced: bool) -> list[Record]:
        """Return the records among the library's messages; others tell of errors, and of the ends of partitions."""
        if any(map(Message.error, messages)):
            messages = [message for message in messages if not self._is_event(message)]
        if rebalanced:  # some may have been fetched of what was lost in the same call
            messages = [message for message in messages if message.partition() in self._partitions]
        return list(
            map(
                _new_record,
                zip(
                    map(self._partitions.__getitem__, map(_number, messages)),
                    map(_offset, messages),
                    map(itemgetter(1), map(Message.timestamp, messages)),
                    map(Message.key, messages),
                    map(Message.value, messages),
                    _headers_of(messages),
                    strict=True,
                ),
            )
        )

    def _is_event(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return False
        if error.code() == KafkaError._PARTITION_EOF:
            self._reached_ends[_number(message)] = _offset(message)
        elif error.code() != KafkaError._MAX_POLL_EXCEEDED:  # what was lost by that is told anyway
            raise explain(error, self._where, otherwise=Unavailable)
        return True

    def pause(self, partitions: Iterable[Partition]) -> None:
        """See ``Client``."""
        self._consumer.pause([TopicPartition(*one) for one in self.assigned.intersection(partitions)])

    def resume(self, partitions: Iterable[Partition]) -> None:
        """See ``Client``."""
        self._consumer.resume([TopicPartition(*one) for one in self.assigned.intersection(partitions)])

    @property
    def assigned(self) -> frozenset[Partition]:
        """See ``Client``."""
        return frozenset(self._partitions.values())

    def rewind(self) -> None:
        """See ``Client``."""
        self._must_rewind = True
        here = [TopicPartition(*one) for one in self._partitions.values()]
        try:
            for one in self._consumer.committed(here, self._timeout_s) if here else ():
                if one.error is not None:
                    raise KafkaException(one.error)
                one.offset = one.offset if one.offset >= 0 else OFFSET_BEGINNING
                self._consumer.seek(one)
                self._reached_ends.pop(one.partition, None)
        except KafkaException as error:
            raise explain(kafka_error_of(error), f"rewinding, {self._where}", otherwise=Unavailable) from error
        self._must_rewind = False

    def partitions_of(self, topic: str) -> int:
        """See ``Client``."""
        where = f"topic {topic!r}"
        try:
            described = self._consumer.list_topics(topic, self._timeout_s).topics[topic]
            if described.error is not None:
                raise KafkaException(described.error)
        except KafkaException as error:
            raise explain(kafka_error_of(error), where, otherwise=BadSettings) from error
        limit = self._largest_record(topic)
        if limit is not None:
            self._sizes.learn(topic, limit)
            self._producer.fit()
        return len(described.partitions)

    def _largest_record(self, topic: str) -> int | None:
        admin = AdminClient(self._options)
        resource = ConfigResource(ResourceType.TOPIC, topic)
        (future,) = admin.describe_configs([resource], request_timeout=self._timeout_s).values()
        try:
            return int(future.result(self._timeout_s)["max.message.bytes"].value)
        except (KafkaException, TimeoutError):
            return None  # without the right to ask, the broker tells at the commit

    def bounds(self, topic: str, *, since_ms: int = 0) -> dict[Partition, tuple[int, int]]:
        """See ``Client``."""
        here = [Partition(topic, number) for number in range(self.partitions_of(topic))]
        found: dict[Partition, tuple[int, int]] = {}
        for one in here:
            end = self._offset_at(one, OFFSET_END)
            first = self._offset_at(one, since_ms or OFFSET_BEGINNING)
            found[one] = (min(first, end) if first >= 0 else end, end)
        return found

    def _offset_at(self, partition: Partition, place: int) -> int:
        try:
            (found,) = self._consumer.offsets_for_times([TopicPartition(*partition, place)], self._timeout_s)
            if found.error is not None:
                raise KafkaException(found.error)
        except KafkaException as error:
            raise explain(kafka_error_of(error), f"topic {partition.topic!r}", otherwise=Unavailable) from error
        return int(found.offset)

    def begin(self) -> None:
        """See ``Client``."""
        self._producer.begin()

    def send(self, *records: Outgoing) -> None:
        """See ``Client``."""
        self._producer.send(records)

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """See ``Client``."""
        gone = set(offsets) - self.assigned
        if gone:
            message = f"{self._where}: commits must be of this member's partitions; {sorted(gone)} are not any more."
            raise Aborted(message)
        places = [TopicPartition(*one, offset) for one, offset in offsets.items()]
        if self._settings.transactional_id is not None:
            self._producer.commit(places, self._membership() if places else None)
            return
        self._producer.deliver()
        if places:
            self._commit_offsets(places)
        self._producer.settle()

    def _commit_offsets(self, places: list[TopicPartition]) -> None:
        try:
            for place in self._consumer.commit(offsets=places, asynchronous=False) or ():
                if place.error is not None:
                    raise KafkaException(place.error)
        except KafkaException as error:
            raise explain(kafka_error_of(error), f"committing, {self._where}") from error

    def _membership(self) -> object:
        """Return what the broker knows a stale member by.

        Offsets of nobody in particular are committed without a question, as those of clients before KIP-447 are. A
        member that left, because it did not poll for too long, would seem to be nobody.
        """
        group = self._consumer.consumer_group_metadata()
        if not self._consumer.memberid():  # it cannot have joined again since: that takes a poll
            message = f"{self._where}: a commit must be a member's; this one has left. Abort, rewind, and poll."
            raise Aborted(message)
        return group

    def abort(self) -> None:
        """See ``Client``."""
        self._producer.abort()

    def lag(self) -> dict[Partition, tuple[int, int]]:
        """See ``Client``."""
        lags: dict[Partition, tuple[int, int]] = {}
        if not self._partitions:
            return lags
        here = [TopicPartition(*one, OFFSET_END) for one in self._partitions.values()]
        try:
            # Asks as `isolation.level` says, for all partitions at once; the watermarks do neither.
            ends = {one.partition: one.offset for one in self._consumer.offsets_for_times(here, _LAG_TIMEOUT_S)}
            positions = self._consumer.position(here)
        except KafkaException:
            return lags
        for one in positions:
            position = max(one.offset, self._reached_ends.get(one.partition, -1))
            end = ends.get(one.partition, -1)
            if position >= 0 and end >= 0:
                lags[self._partitions[one.partition]] = (position, max(position, end))
        return lags

    def close(self) -> None:
        """See ``Client``."""
        self._producer.close()
        with suppress(KafkaException, RuntimeError):
            self._consumer.close()
        self._partitions.clear()
        self._lost.clear()

    def _take_assigned(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        for one in partitions:
            self._partitions[one.partition] = Partition(one.topic, one.partition)
            self._reached_ends.pop(one.partition, None)

    def _take_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        for one in partitions:
            self._partitions.pop(one.partition, None)
            self._lost.append(Partition(one.topic, one.partition))

    def _pass_on_lost(self) -> None:
        lost = tuple(self._lost)
        self._lost.clear()
        self._tell_lost(lost)

    def _take_note_of_error(self, error: KafkaError) -> None:
        """Take note that a connection failed; called within ``poll``, which asks whether a broker is left."""
        if self._away is None or not is_refusal(self._away):  # which the library tells once, and then only what follows
            self._away = error

    def _reach_first(self) -> None:
        """Make sure that a broker answers, while nothing can come yet: polls only tell why none does."""
        deadline = time.monotonic() + min(self._timeout_s, FIRST_REACH_S)
        while True:
            try:
                self._reach(_REACH_TIMEOUT_S)
                return
            except Unavailable:
                self._consumer.poll(0)
                if time.monotonic() > deadline:
                    raise

    def _reach(self, timeout_s: float) -> None:
        """Make sure that a broker answers."""
        try:
            self._consumer.list_topics(self._topic or None, timeout_s)
        except KafkaException as error:
            known = self._away or kafka_error_of(error)
            where = f"{self._where}, brokers {self._settings.servers}"
            raise explain(known, where, otherwise=Unavailable) from error
        self._away = None


def _headers_of(messages: list[Message]) -> list[Headers]:
    """Return each one's headers, which the library reads all or, where a name is not UTF-8, not at all."""
    found: list[Headers] = []
    read = map(_read_headers, messages)  # once each: what it gives after it failed is broken memory
    while True:
        try:
            found.extend(tuple(headers) if headers else () for headers in read)
            return found
        except (SystemError, UnicodeDecodeError):
            found.append(UNREADABLE)


def _common_options(settings: ClientSettings) -> dict[str, Any]:
    return {
        "bootstrap.servers": settings.servers,
        "reconnect.backoff.max.ms": _RECONNECT_MAX_MS,
        "socket.nagle.disable": True,
        "allow.auto.create.topics": False,
        "logger": _silent_logger(),
        **checked_security(settings.security),
    }


def _silent_logger() -> logging.Logger:
    # The library writes to stderr by itself. What it has to say comes as errors, too.
    logger = logging.getLogger("confluent_kafka")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger
