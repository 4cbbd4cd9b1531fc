"""librdkafka's producer, and the transactions around what it sends."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from engine.errors import BadSettings, Unavailable
from streaming.clients.bounded_calls import BoundedCalls
from streaming.clients.client import Aborted, ClientSettings, Fenced
from streaming.clients.confluent_errors import explain, kafka_error_of
from streaming.clients.record_size import LARGEST_BYTES, RecordSizes
from streaming.record import Outgoing

# A batch is refused whole where it is larger than the topic takes, and librdkafka, unlike other clients, does not cut
# it in two. So it is never larger than the smallest record limit of the topics that are known.
_BATCH_BYTES = 1_000_000
_FULL_S = 0.05
# librdkafka's `send_offsets_to_transaction` keeps no time limit, and may wait for ever for a coordinator that went away
# (librdkafka's issues 5456 and 5511), even once it is back. A coordinator that lives answers within milliseconds; one
# that moves, within a second or two. With less than that moves would cost transactions, with more a restart takes long.
_OFFSETS_S = 5.0
# What an abort, or an error that has its own report, did to the records behind.
_PURGED = {KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT}


class ConfluentProducer:
    """A producer that is opened anew where librdkafka's own cannot go on."""

    def __init__(self, settings: ClientSettings, options: Mapping[str, Any], sizes: RecordSizes) -> None:
        self._transactional = settings.transactional_id is not None
        self._where = f"transactions of {settings.transactional_id!r}" if self._transactional else "sending"
        self._timeout_s = settings.answer_timeout_ms / 1000
        self._options = {
            **options,
            "enable.idempotence": True,
            "linger.ms": settings.linger_ms,
            "retry.backoff.ms": settings.retry_backoff_ms,
            "retry.backoff.max.ms": 10 * settings.retry_backoff_ms,
            "compression.type": settings.compression,
            "message.max.bytes": LARGEST_BYTES,
            "on_delivery": self._take_note,
            "delivery.report.only.error": True,  # one call into Python a record would halve the rate
        }
        if self._transactional:
            self._options["transactional.id"] = settings.transactional_id
            self._options["transaction.timeout.ms"] = settings.transaction_timeout_ms
        self._sizes = sizes
        self._batch_bytes = _BATCH_BYTES
        self._library: Producer | None = None
        self._calls = BoundedCalls()
        self._failed: list[tuple[str, KafkaError]] = []
        self._begun = False
        self._used = False
        self._fenced: Fenced | None = None
        self._open()

    def fit(self) -> None:
        """Open the library's producer anew, if its batches may be larger than some topic takes."""
        if self._sizes.smallest < self._batch_bytes:
            self._batch_bytes = self._sizes.smallest
            self._drop()
            self._open()

    def begin(self) -> None:
        """Begin a transaction, with a new producer where there is none any more."""
        library = self._ready()
        if self._transactional:
            try:
                library.begin_transaction()
            except KafkaException as error:
                raise self._explained(error) from error
        self._begun = self._used = True

    def send(self, records: Iterable[Outgoing]) -> None:
        """Put records into the library's queue; its threads send them."""
        if self._library is None:
            message = f"{self._where}: a record must follow a begin; got none. Abort, and begin."
            raise Unavailable(message)
        produce, unchecked_bytes = self._library.produce, self._sizes.unchecked_bytes
        try:
            for record in records:
                (topic, number), key, value, headers = record
                if headers or len(value or b"") + len(key or b"") > unchecked_bytes:
                    self._sizes.check(record)
                try:
                    # By position: names cost a tenth of the call. The two callbacks are none, the timestamp is now.
                    produce(topic, value, key, number, None, None, 0, list(headers) if headers else None)
                except BufferError:
                    self._send_when_there_is_room(record)
        except KafkaException as error:
            raise self._explained(error) from error

    def commit(self, offsets: Sequence[TopicPartition], group: object) -> None:
        """Commit what was sent and the offsets in one transaction."""
        library = self._library
        if library is None or not self._begun:
            message = f"{self._where}: a commit must follow a begin; got none. Abort, rewind, and do the records again."
            raise Unavailable(message)
        deadline = time.monotonic() + self._timeout_s
        try:
            if offsets:
                self._add_offsets(library, list(offsets), group)
            library.commit_transaction(max(0.001, deadline - time.monotonic()))
        except KafkaException as error:
            known = self._explained(error)
            if isinstance(known, Aborted):  # which may be known before the reports on the records that made it so
                library.purge()
                library.flush(max(0.001, deadline - time.monotonic()))
            self._raise_failed()
            raise known from error
        self._begun = self._used = False

    def _add_offsets(self, library: Producer, offsets: list[TopicPartition], group: object) -> None:
        timeout_s = min(self._timeout_s, _OFFSETS_S)
        try:
            self._calls.run(partial(library.send_offsets_to_transaction, offsets, group, timeout_s), timeout_s)
        except TimeoutError as error:
            self._calls = BoundedCalls()
            self._drop()
            message = f"{self._where}: the group's coordinator must take the offsets; {error}. Abort, and try again."
            raise Unavailable(message) from error

    def deliver(self) -> None:
        """Wait until all that was sent has arrived; raise what failed of it."""
        if self._library is None:
            return
        left = self._library.flush(self._timeout_s)
        self._raise_failed()
        if left:
            message = f"{self._where}: records must arrive within {self._timeout_s:g} s; {left} did not. Try again."
            raise Unavailable(message)

    def settle(self) -> None:
        """Forget what arrived, without transactions."""
        self._begun = self._used = False

    def abort(self) -> None:
        """Abort the transaction under way; see ``Client``."""
        if self._fenced is not None:
            raise self._fenced
        if self._library is not None and self._used and not self._aborted():
            self._drop()
        self._ready()

    def close(self) -> None:
        """Abort what is under way, as far as a broker answers, and close the connections."""
        if self._library is not None and self._begun and self._transactional and self._fenced is None:
            self._aborted()
        self._drop()
        self._calls.close()

    def _aborted(self) -> bool:
        """Abort, and tell whether the library's producer can go on."""
        library = self._library
        if library is None or self._failed:
            return False
        try:
            if not self._transactional:
                library.purge()
                library.flush(0)
            elif self._begun:
                library.abort_transaction(self._timeout_s)
        except KafkaException as error:
            self._explained(error)  # may have been fenced
            return False
        # After a batch was refused the library goes on with sequence numbers that the broker does not expect. It may
        # tell of a refusal only now: what ends a commit can come before the report on the record.
        return not self._failed

    def _ready(self) -> Producer:
        if self._fenced is not None:
            raise self._fenced
        library = self._library or self._open()
        self._failed.clear()
        self._begun = self._used = False
        return library

    def _open(self) -> Producer:
        """Open the library's producer, and end what its predecessor left under the same transactional id."""
        where = f"opening a producer, {self._where}"
        try:
            library = Producer({**self._options, "batch.size": self._batch_bytes})
            if self._transactional:
                library.init_transactions(self._timeout_s)
        except KafkaException as error:
            raise explain(kafka_error_of(error), where, otherwise=BadSettings) from error
        self._library = library
        return library

    def _drop(self) -> None:
        """Let go of the library's producer without waiting for a broker."""
        library, self._library = self._library, None
        self._begun = self._used = False
        if library is not None:
            with suppress(KafkaException):
                library.purge(blocking=False)
        # Its memory goes with its last reference, and its threads with that.

    def _send_when_there_is_room(self, record: Outgoing) -> None:
        (topic, number), key, value, headers = record
        library = self._library
        assert library is not None
        deadline = time.monotonic() + self._timeout_s
        while time.monotonic() < deadline:
            library.poll(_FULL_S)
            with suppress(BufferError):
                library.produce(topic, value, key, number, None, None, 0, list(headers))
                return
        message = (
            f"{self._where}: there must be room for records within {self._timeout_s:g} s; there is none. Try again."
        )
        raise Unavailable(message)

    def _take_note(self, error: KafkaError | None, message: Any) -> None:
        """Take note of a record that did not arrive; called within ``flush``, ``commit`` and their like."""
        if error is not None and error.code() not in _PURGED:
            self._failed.append((message.topic(), error))

    def _raise_failed(self) -> None:
        if self._failed:
            topic, error = self._failed[0]
            raise explain(error, f"sending to topic {topic!r}")

    def _explained(self, error: KafkaException) -> Exception:
        """Return what to raise; remembers that this producer was fenced, which nothing undoes."""
        known = explain(kafka_error_of(error), self._where)
        if isinstance(known, Fenced):
            self._fenced = known
        return known
