"""kafka-python's producer, and the transactions around what it sends.

The library's ``send`` spends half of its time on checking what is known here already, and refuses headers without a
value and records with neither key nor value. So records are handed to the accumulator behind it, as ``send`` does in
the end. What fails is seen by the futures that come back: the library itself commits a transaction without a batch that
waited too long (``delivery_timeout_ms``), and calls one committed whose producer id it had to replace meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from kafka import KafkaProducer, TopicPartition
from kafka import errors as kafka_errors
from kafka.structs import OffsetAndMetadata

from engine.errors import BadSettings, Unavailable
from streaming.clients.client import ClientSettings, Fenced
from streaming.clients.kafka_python_errors import explain
from streaming.clients.record_size import LARGEST_BYTES, RecordSizes
from streaming.record import Outgoing, Partition

# Smaller batches cost requests; larger ones gain nothing more, and what waits for the last of them comes later.
_BATCH_BYTES = 64 * 1024
# The library's thread ends at once, unless it waits for a connection; it is a daemon and may do that alone.
_DROP_S = 1.0


class _Headers(tuple[tuple[str, bytes | None], ...]):
    """Headers that seem to be none when asked whether there are any, and otherwise are what they are.

    The library asks before it adds up their sizes, which takes long, serves nobody, and fails at one without a value.
    """

    def __bool__(self) -> bool:
        return False


class KafkaPythonProducer:
    """A producer that is opened anew where the library's own cannot go on."""

    def __init__(self, settings: ClientSettings, options: Mapping[str, Any], sizes: RecordSizes) -> None:
        self._transactional = settings.transactional_id is not None
        self._where = f"transactions of {settings.transactional_id!r}" if self._transactional else "sending"
        self._timeout_ms = settings.answer_timeout_ms
        self._options = {
            **options,
            "transactional_id": settings.transactional_id,
            "transaction_timeout_ms": settings.transaction_timeout_ms,
            "retry_backoff_ms": settings.retry_backoff_ms,
            "linger_ms": settings.linger_ms,
            "compression_type": None if settings.compression == "none" else settings.compression,
            "batch_size": _BATCH_BYTES,
            "max_request_size": LARGEST_BYTES,
            "max_block_ms": self._timeout_ms,
            "enable_idempotence": True,
            "acks": "all",
        }
        self._sizes = sizes
        self._library: Any = None
        self._targets: dict[Partition, Any] = {}
        self._joined: set[Partition] = set()
        self._sent: list[Any] = []
        self._begun = False
        self._fenced: Fenced | None = None
        self._open()

    def fit(self) -> None:
        """Make batches as small as all topics take: what is too large is refused, cut in two, and sent again."""
        if self._library is not None:
            self._library._accumulator.config["batch_size"] = min(_BATCH_BYTES, self._sizes.smallest)

    def begin(self) -> None:
        """Begin a transaction, with a new producer where there is none any more."""
        library = self._ready()
        if self._transactional:
            try:
                library.begin_transaction()
            except kafka_errors.KafkaError as error:
                raise self._explained(error) from error
        self._begun = True

    def send(self, records: Iterable[Outgoing]) -> None:
        """Put records into the batches of their partitions; the library's thread sends them."""
        for record in records:
            self._sizes.check(record)
            partition, key, value, headers = record
            if partition not in self._joined:
                self._join(partition)
            library = self._library
            target = self._targets[partition]
            future, is_full, is_new, _ = library._accumulator.append(target, None, key, value, _Headers(headers))
            self._sent.append(future)
            if is_full or is_new:
                library._sender.wakeup()

    def commit(self, offsets: Mapping[Any, OffsetAndMetadata], group: object) -> None:
        """Commit what was sent and the offsets in one transaction."""
        library = self._library
        if library is None or not self._begun:
            message = f"{self._where}: a commit must follow a begin; got none. Abort, rewind, and do the records again."
            raise Unavailable(message)
        manager = library._transaction_manager
        try:
            added = manager.send_offsets_to_transaction(offsets, group) if offsets else None
            library._sender.wakeup()
            self.deliver()  # before the end is asked for: then no batch can fail any more
            if added is not None:
                self._wait(added)
            ended = manager.begin_commit()
            library._sender.wakeup()
            self._wait(ended)
        except kafka_errors.KafkaError as error:
            raise self._explained(error) from error
        self._forget()

    def deliver(self) -> None:
        """Wait until all that was sent has arrived; raise what failed of it."""
        library = self._library
        if library is None or not self._sent:
            return
        deadline = time.monotonic() + self._timeout_ms / 1000
        while True:
            try:
                library.flush(max(0.0, deadline - time.monotonic()))
                break
            except kafka_errors.UnknownError:
                continue  # a batch that was too large was cut in two, and its halves are under way
            except kafka_errors.KafkaError as error:
                raise self._explained(error) from error
        failed = next((future.exception for future in self._sent if future.exception is not None), None)
        if failed is not None:
            raise self._explained(failed)
        if not all(future.is_done for future in self._sent):
            message = f"{self._where}: all that was sent must have arrived; the library lost some of it. Abort."
            raise Unavailable(message)

    def settle(self) -> None:
        """Forget what arrived, without transactions."""
        self._forget()

    def abort(self) -> None:
        """Abort the transaction under way; see ``Client``."""
        if self._fenced is not None:
            raise self._fenced
        if self._library is not None and (self._begun or self._sent) and not self._aborted():
            self._drop()
        self._ready()

    def close(self) -> None:
        """Abort what is under way, as far as a broker answers, and close the connections."""
        if self._library is None:
            return
        if self._fenced is None and self._begun and self._transactional:
            self._aborted()
        self._drop()

    def _aborted(self) -> bool:
        """Abort, and tell whether the library's producer can go on."""
        manager = self._library._transaction_manager
        # After a batch was refused the library goes on with sequence numbers that the broker does not expect; without
        # transactions, it never leaves the state of error.
        if manager.has_error() or any(future.exception is not None for future in self._sent):
            known = manager.last_error
            if known is not None:
                self._explained(known)  # may have been fenced
            return False
        if not self._transactional:
            return True  # what did not arrive yet, arrives
        try:
            ended = manager.begin_abort()
            self._library._sender.wakeup()
            self._wait(ended)
        except kafka_errors.KafkaError as error:
            self._explained(error)  # may have been fenced
            return False
        self._forget()
        return True

    def _forget(self) -> None:
        self._sent = []
        self._joined.clear()
        self._begun = False

    def _ready(self) -> Any:
        if self._fenced is not None:
            raise self._fenced
        if self._library is None:
            self._open()
        self._forget()
        return self._library

    def _open(self) -> None:
        """Open the library's producer, and end what its predecessor left under the same transactional id."""
        self._forget()
        self._targets.clear()
        where = f"opening a producer, {self._where}"
        cure = "Correct the settings."
        try:
            self._library = KafkaProducer(**self._options)
            self.fit()
        except (ValueError, AssertionError, RuntimeError, kafka_errors.KafkaError) as error:
            raise explain(error, where, otherwise=BadSettings, cure=cure) from error
        if self._transactional:
            try:
                self._library.init_transactions()
            except kafka_errors.KafkaError as error:
                self._drop()
                raise explain(error, where, otherwise=BadSettings, cure=cure) from error

    def _drop(self) -> None:
        """Let go of the library's producer without waiting for a broker."""
        library, self._library = self._library, None
        self._forget()
        library._sender.force_close()
        library._sender.join(_DROP_S)
        with suppress(kafka_errors.KafkaError):  # what it could not send any more
            library.close(timeout=0)

    def _join(self, partition: Partition) -> None:
        """Add a partition to the transaction, and on its first time make sure that there is one."""
        library = self._library
        if library is None:
            message = f"{self._where}: a record must follow a begin; got none. Abort, and begin."
            raise Unavailable(message)
        try:
            if partition not in self._targets:
                numbers = library.partitions_for(partition.topic)
                if partition.number not in numbers:
                    message = f"topic {partition.topic!r}: a partition must be one of {len(numbers)}; got {partition}."
                    raise BadSettings(message)
                self._targets[partition] = TopicPartition(*partition)
            if self._transactional:
                library._transaction_manager.maybe_add_partition_to_transaction(self._targets[partition])
        except kafka_errors.KafkaError as error:
            raise self._explained(error) from error
        self._joined.add(partition)

    def _wait(self, result: Any) -> None:
        if not result.wait(timeout_ms=self._timeout_ms):
            message = f"no answer within {self._timeout_ms / 1000:g} s"
            raise kafka_errors.KafkaTimeoutError(message)

    def _explained(self, error: BaseException) -> Exception:
        """Return what to raise; remembers that this producer was fenced, which nothing undoes."""
        # What the caller gets is often only that there was an error before; the first one says more.
        first = self._library._transaction_manager.last_error if self._library is not None else None
        known = explain(error, self._where)
        if first is not None and not isinstance(known, Fenced):
            known = explain(first, self._where)
        if isinstance(known, Fenced):
            self._fenced = known
        return known
