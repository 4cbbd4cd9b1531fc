"""The client by kafka-python (extra ``kafka``): pure Python, nothing to compile."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.structs import OffsetAndMetadata

from engine.errors import BadSettings, Unavailable
from streaming.clients.client import FIRST_REACH_S, Aborted, ClientSettings, Lost
from streaming.clients.kafka_python_errors import explain
from streaming.clients.kafka_python_failures import ConnectionFailures
from streaming.clients.kafka_python_headers import mend_header_names
from streaming.clients.kafka_python_producer import KafkaPythonProducer
from streaming.clients.record_size import RecordSizes
from streaming.clients.security import checked_security
from streaming.record import Outgoing, Partition, Record

_SECURITY = {
    "security.protocol": "security_protocol",
    "sasl.mechanism": "sasl_mechanism",
    "sasl.username": "sasl_plain_username",
    "sasl.password": "sasl_plain_password",
    "ssl.ca.location": "ssl_cafile",
    "ssl.certificate.location": "ssl_certfile",
    "ssl.key.location": "ssl_keyfile",
    "ssl.key.password": "ssl_password",
    "ssl.endpoint.identification.algorithm": "ssl_check_hostname",
}
# A member hears of a rebalance by its heartbeat's answer. At the library's 3 s, cooperative ones, which take two
# rounds, leave partitions idle for as long twice over.
_HEARTBEAT_MS = 1_000
# The library's own metrics cost a tenth of the records, and nobody reads them.
_UNMEASURED = {"metrics_enabled": False}
# The consumer retries while it looks for brokers and joins; at the producer's few ms it would spin while they are away.
_CONSUMER_BACKOFF_MS = 20
# The library's 30 s would go on without a broker that long after it is back.
_RECONNECT_MAX_MS = 500
# A coordinator moves within a second or two; after this long it is not moving.
_UNREACHED_S = 5.0
_LAG_TIMEOUT_MS = 1_000
_CLOSE_TIMEOUT_MS = 5_000

_fields = attrgetter("offset", "timestamp", "key", "value")


class KafkaPythonClient:
    """See ``Client``. The library's threads do the network; this one finds out what came of it."""

    def __init__(self, settings: ClientSettings) -> None:
        _quieten()
        mend_header_names()
        self._settings = settings
        self._where = f"group {settings.group!r}"
        self._options = _common_options(settings)
        self._sizes = RecordSizes()
        self._lost: list[Partition] = []
        self._must_rewind = False
        self._reached = time.monotonic()
        self._consumer = self._open_consumer()
        try:
            self._producer = KafkaPythonProducer(settings, self._options | _UNMEASURED, self._sizes)
        except BaseException:
            self._consumer.close(timeout_ms=_CLOSE_TIMEOUT_MS)
            raise

    def _open_consumer(self) -> Any:
        settings, where = self._settings, f"opening a consumer, {self._where}"
        with ConnectionFailures() as failures:
            try:
                return KafkaConsumer(
                    **self._options,
                    **_UNMEASURED,
                    group_id=settings.group,
                    group_instance_id=settings.instance_id,
                    session_timeout_ms=settings.session_timeout_ms,
                    heartbeat_interval_ms=min(_HEARTBEAT_MS, settings.session_timeout_ms // 3),
                    max_poll_interval_ms=settings.max_poll_interval_ms,
                    partition_assignment_strategy=[CooperativeStickyAssignor],
                    isolation_level="read_committed",
                    enable_auto_commit=False,
                    auto_offset_reset="earliest",
                    fetch_max_wait_ms=settings.fetch_wait_ms,
                    fetch_min_bytes=settings.fetch_min_bytes,
                    retry_backoff_ms=_CONSUMER_BACKOFF_MS,
                )
            except (ValueError, AssertionError, kafka_errors.KafkaError) as error:
                raise failures.explain(error, where) from error

    def subscribe(self, topic: str, lost: Lost) -> None:
        """See ``Client``."""
        self.partitions_of(topic)
        self._tell_lost = lost
        self._consumer.subscribe([topic], listener=_Listener(self._lost))
        # A leader that joins before it knows the topic's partitions assigns none, and does not always notice after. An
        # update that was under way before knows nothing of the topic, either: then it takes another.
        timeout_ms, cluster = self._settings.answer_timeout_ms, self._consumer._cluster
        deadline = time.monotonic() + timeout_ms / 1000
        try:
            while not cluster.partitions_for_topic(topic):
                if time.monotonic() > deadline:
                    message = f"its partitions must be known within {timeout_ms / 1000:g} s; they are not"
                    raise kafka_errors.KafkaTimeoutError(message)
                self._consumer._net.run(self._consumer._manager.wait_for, cluster.request_update(), timeout_ms)
        except kafka_errors.KafkaError as error:
            raise explain(error, f"topic {topic!r}", otherwise=Unavailable) from error

    def read(self, starts: Mapping[Partition, int]) -> None:
        """See ``Client``."""
        self._consumer.assign([TopicPartition(*one) for one in starts])
        for one, offset in starts.items():
            self._consumer.seek(TopicPartition(*one), offset)

    def poll(self, timeout_s: float, most: int) -> list[Record]:
        """See ``Client``."""
        if self._must_rewind:
            self.rewind()
        self._unpark()
        try:
            found = self._consumer.poll(timeout_ms=int(timeout_s * 1000), max_records=most)
        except kafka_errors.KafkaError as error:
            raise explain(error, self._where, otherwise=Unavailable) from error
        finally:
            if self._lost:
                self._pass_on_lost()
        if not found:
            self._check_reach()
            return []
        records: list[Record] = []
        for (topic, number), batch in found.items():
            partition = Partition(topic, number)
            records += [Record(partition, *_fields(one), tuple(one.headers)) for one in batch]
        return records

    def pause(self, partitions: Iterable[Partition]) -> None:
        """See ``Client``."""
        here = self.assigned.intersection(partitions)
        self._consumer.pause(*(TopicPartition(*one) for one in here))

    def resume(self, partitions: Iterable[Partition]) -> None:
        """See ``Client``."""
        here = self.assigned.intersection(partitions)
        self._consumer.resume(*(TopicPartition(*one) for one in here))

    @property
    def assigned(self) -> frozenset[Partition]:
        """See ``Client``."""
        return frozenset(Partition(*one) for one in self._consumer.assignment())

    def rewind(self) -> None:
        """See ``Client``."""
        self._must_rewind = True
        deadline = time.monotonic() + self._settings.answer_timeout_ms / 1000
        try:
            for one in self._consumer.assignment():
                left_ms = max(0, int((deadline - time.monotonic()) * 1000))
                offset = self._consumer.committed(one, timeout_ms=left_ms)
                if offset is None:
                    self._consumer.seek_to_beginning(one)
                else:
                    self._consumer.seek(one, offset)
        except kafka_errors.KafkaError as error:
            raise explain(error, f"rewinding, {self._where}", otherwise=Unavailable) from error
        self._must_rewind = False

    def partitions_of(self, topic: str) -> int:
        """See ``Client``."""
        where = f"topic {topic!r}"
        timeouts = {"request_timeout_ms": self._settings.answer_timeout_ms}
        try:
            with KafkaAdminClient(**self._options, **timeouts) as admin:
                (description,) = admin.describe_topics([topic])
                kind = kafka_errors.for_code(description["error_code"])
                if kind is kafka_errors.UnknownTopicOrPartitionError:
                    message = f"{where}: a topic must exist; got none of this name. Create it, or correct the name."
                    raise BadSettings(message)
                if kind is not kafka_errors.NoError:
                    raise kind(topic)
                with suppress(kafka_errors.AuthorizationError):
                    self._sizes.learn(topic, _largest_record(admin, topic))
                    self._producer.fit()
        except (ValueError, kafka_errors.KafkaError) as error:
            raise explain(error, where, otherwise=BadSettings) from error
        return len(description["partitions"])

    def bounds(self, topic: str, *, since_ms: int = 0) -> dict[Partition, tuple[int, int]]:
        """See ``Client``."""
        here = [TopicPartition(topic, number) for number in range(self.partitions_of(topic))]
        timeout_ms = self._settings.answer_timeout_ms
        try:
            firsts = self._consumer.beginning_offsets(here, timeout_ms=timeout_ms)
            ends = self._consumer.end_offsets(here, timeout_ms=timeout_ms)
            if since_ms:
                found = self._consumer.offsets_for_times(dict.fromkeys(here, since_ms), timeout_ms=timeout_ms)
                firsts = {one: ends[one] if found[one] is None else min(found[one].offset, ends[one]) for one in here}
        except kafka_errors.KafkaError as error:
            raise explain(error, f"topic {topic!r}", otherwise=Unavailable) from error
        return {Partition(*one): (firsts[one], ends[one]) for one in here}

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
        places = {TopicPartition(*one): OffsetAndMetadata(offset, "", -1) for one, offset in offsets.items()}
        if self._settings.transactional_id is not None:
            self._producer.commit(places, self._membership() if places else None)
            return
        self._producer.deliver()
        try:
            if places:
                self._consumer.commit(places, timeout_ms=self._settings.answer_timeout_ms)
        except kafka_errors.KafkaError as error:
            raise explain(error, f"committing, {self._where}") from error
        self._producer.settle()

    def _membership(self) -> Any:
        """Return what the broker knows a stale member by.

        Offsets of nobody in particular are committed without a question, as those of clients before KIP-447 are. A
        member that left, because it did not poll for too long, would seem to be nobody.
        """
        group = self._consumer.group_metadata()
        if not group.member_id or group.generation_id < 0:
            message = f"{self._where}: a commit must be a member's; this one has left. Abort, rewind, and poll."
            raise Aborted(message)
        return group

    def abort(self) -> None:
        """See ``Client``."""
        self._producer.abort()

    def lag(self) -> dict[Partition, tuple[int, int]]:
        """See ``Client``."""
        lags: dict[Partition, tuple[int, int]] = {}
        here = self._consumer.assignment()
        if not here:
            return lags
        try:
            ends = self._consumer.end_offsets(here, timeout_ms=_LAG_TIMEOUT_MS)
            for one in here:
                position = self._consumer.position(one, timeout_ms=0)
                if position is not None and one in ends:
                    lags[Partition(*one)] = (position, max(position, ends[one]))
        except kafka_errors.KafkaError:
            return lags
        return lags

    def close(self) -> None:
        """See ``Client``."""
        self._producer.close()
        with suppress(kafka_errors.KafkaError):
            self._consumer.close(timeout_ms=_CLOSE_TIMEOUT_MS)

    def _unpark(self) -> None:
        # What was fetched of a paused partition is put aside, and taken up again only where nothing else is in hand:
        # the library asks for None, and has something read to its end in hand. Without this, a resumed partition that
        # had records in hand when it was paused brings nothing any more.
        fetcher = self._consumer._fetcher
        if fetcher._paused_partition_records and not fetcher._next_partition_records:
            fetcher._next_partition_records = None

    def _pass_on_lost(self) -> None:
        lost = tuple(self._lost)
        self._lost.clear()
        self._tell_lost(lost)

    def _check_reach(self) -> None:
        # The library tells nobody that brokers are away: it goes on looking, and polls bring nothing.
        now = time.monotonic()
        if not self._consumer._coordinator.coordinator_unknown():
            self._reached = now
        elif now - self._reached > _UNREACHED_S:
            servers = self._settings.servers
            message = (
                f"{self._where}: a broker of {servers} must be reachable; none is. Start it, or correct the address."
            )
            raise Unavailable(message)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # the library asks for its own class
    """Takes note of what is lost; called in the library's thread, while ``poll`` waits for it."""

    def __init__(self, lost: list[Partition]) -> None:
        self._lost = lost

    def on_partitions_revoked(self, revoked: Sequence[Any]) -> None:
        """Take note."""
        self._lost += [Partition(*one) for one in revoked]

    def on_partitions_lost(self, lost: Sequence[Any]) -> None:
        """Take note."""
        self.on_partitions_revoked(lost)

    def on_partitions_assigned(self, assigned: Sequence[Any]) -> None:
        """Do nothing: ``assigned`` tells."""


def _common_options(settings: ClientSettings) -> dict[str, Any]:
    options: dict[str, Any] = {
        "bootstrap_servers": settings.servers.split(","),
        "bootstrap_timeout_ms": min(settings.answer_timeout_ms, round(FIRST_REACH_S * 1000)),
        "reconnect_backoff_max_ms": _RECONNECT_MAX_MS,
    }
    for name, value in checked_security(settings.security).items():
        options[_SECURITY[name]] = value != "none" if name.startswith("ssl.endpoint") else value
    return options


def _largest_record(admin: Any, topic: str) -> int:
    name = "max.message.bytes"
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs={name: None})
    described = admin.describe_configs([resource], config_filter="all")
    return int(described["topic"][topic][name]["value"])


def _quieten() -> None:
    # A library that warns where no logging is set up writes to stderr. What it has to say comes as errors.
    logger = logging.getLogger("kafka")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logger.propagate = False
