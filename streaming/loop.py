"""The loop: requests are read, answered, and committed together with their answers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from operator import attrgetter

from engine.errors import InvalidInput, Unavailable
from engine.wire.media_types import ARROW_STREAM
from streaming.answering import Answered, answer
from streaming.batch import Batch
from streaming.clients.client import Aborted, Client, TooLarge
from streaming.config import StreamConfig
from streaming.dead_letter import DeadLetters
from streaming.metrics import StreamMetrics
from streaming.origin import origin_json
from streaming.outcome import MODEL, POISON, TRANSIENT, Refused
from streaming.pace import PROFILES, Pace
from streaming.record import Headers, Outgoing, Partition, Record
from streaming.streamed import Streamed

_log = logging.getLogger(__name__)
# How long a poll waits where nothing comes: what it takes to notice SIGTERM.
_POLL_S = 0.25
# A batch that takes longer is waited for with partitions paused and polls between, which keep the membership.
_PATIENCE_S = 1.0
_FIRST_BACKOFF_S, _DOUBLINGS = 0.05, 7
_LAG_S = 1.0
# How its thread's name begins, which cannot be stopped while the model computes.
ANSWERING = "answering"
_REQUEST = "foretable-request"
_partition, _offset, _timestamp_ms = attrgetter("partition"), attrgetter("offset"), attrgetter("timestamp_ms")
_key, _headers = attrgetter("key"), attrgetter("headers")
_new_outgoing = partial(tuple.__new__, Outgoing)  # NamedTuple's own constructor is Python


class Loop:
    """Answers one topic, turn by turn.

    1. ``poll`` brings records, and takes part in rebalances.
    2. One release answers them all. Nothing is seen of this.
    3. Where more wait, 1 and 2 begin for them: another thread answers them during 4 to 6.
    4. A transaction begins; 5. predictions and dead letters are sent in it.
    6. It is committed together with the offsets of the requests: both are seen, or neither.
    7. It is counted.

    Where 4 to 6 fail, the transaction is aborted, the position goes back to what is committed, and the records come
    again, those of 3 too. Without transactions 5 is waited for before the offsets are committed: a crash between makes
    answers twice.

    Attributes:
        trouble: why it gets no further now, as where brokers are away; "" where nothing is wrong.
    """

    def __init__(
        self, client: Client, current: Callable[[], Streamed], config: StreamConfig, metrics: StreamMetrics
    ) -> None:
        """Join the group.

        Raises:
            BadSettings: a topic is missing.
            Unavailable: the brokers do not answer.
        """
        self._client, self._current, self._config, self._metrics = client, current, config, metrics
        self._pace = Pace(PROFILES[config.profile], limit=config.batch_records)
        self._targets = _Targets(config.predictions, client.partitions_of(config.predictions))
        self._letters = DeadLetters(
            config.dead_letters, client.partitions_of(config.dead_letters), redact=config.redact
        )
        client.partitions_of(config.requests)
        client.subscribe(config.requests, self._lose)
        self._thread = ThreadPoolExecutor(1, ANSWERING)
        self._lost_now: set[Partition] = set()  # in the poll under way
        self._batch: Batch | None = None  # that is answered and committed now
        self._ahead: Batch | None = None  # the next, where it was polled already
        self._held: list[Record] = []  # polled while a batch was waited for
        self._to_rewind = False
        self._halved = 0  # the most records of a batch, while one that is too large is looked for; 0: as the pace says
        self._oversized: set[tuple[Partition, int]] = set()
        self._failures = 0  # one after the other, of whatever kind: how long to back off
        self._tries = 0  # of the model at the same records
        self._lag_due = 0.0
        self.trouble = ""
        self._stop = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Answer until told to stop; the transaction under way is finished, or given up after ``--drain-s``.

        Raises:
            Fenced: another instance has this one's name.
            BadSettings: rights or topics are missing.
        """
        self._stop = stop
        try:
            while not stop.is_set():
                try:
                    self.turn()
                    if self.trouble:
                        self.trouble = ""
                        self._metrics.ready.set(1)
                except Unavailable as error:
                    self._fail(error)
                    stop.wait(_FIRST_BACKOFF_S * 2 ** min(self._failures, _DOUBLINGS))
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    def turn(self) -> int:
        """Do one turn; return how many records it committed.

        Raises:
            Unavailable: nothing of it is seen; the records come again.
        """
        if self._to_rewind:  # or else what was polled and not committed would be passed over
            self._client.abort()
            self._client.rewind()
            self._to_rewind = False
        batch, self._ahead = self._ahead or self._next_batch(), None
        self._batch = batch
        if batch is None:
            self._tell_lag()
            return 0
        records = batch.records
        answered = self._answered(batch)
        if batch.is_full:
            self._ahead = self._next_batch(0.0)
        started = time.perf_counter()
        outgoing = self._outgoing(batch, answered)
        last = dict(zip(map(_partition, records), map(_offset, records), strict=True))
        offsets = {partition: offset + 1 for partition, offset in last.items() if partition not in batch.lost}
        if not offsets:
            return 0
        try:
            self._client.begin()
            self._client.send(*outgoing)
            sent = time.perf_counter()
            self._client.commit(offsets)
        except TooLarge as error:
            self._look_for_oversized(records, error)
            return 0
        work_s = answered.took_s + sent - started
        self._done(batch, answered, work_s=work_s, commit_s=time.perf_counter() - sent)
        return len(outgoing)

    def _next_batch(self, timeout_s: float = _POLL_S) -> Batch | None:
        """Return requests that are being answered, or None where there are none within the time."""
        most = self._halved or self._pace.most
        if self._held:
            records, self._held = self._held[:most], self._held[most:]
        else:
            records = self._poll(timeout_s, most, [])
            linger_s = min(self._pace.profile.linger_s, timeout_s)
            if records and linger_s and len(records) < most // 2:
                records = self._poll(linger_s, most - len(records), records)
        return self._begun(records, self._current(), is_full=len(records) == most) if records else None

    def _begun(self, records: list[Record], release: Streamed, *, is_full: bool = False) -> Batch:
        config = self._config
        answering = self._thread.submit(answer, records, release, max_rows=config.max_rows, late=config.late)
        return Batch(records, release, answering, is_full)

    def _poll(self, timeout_s: float, most: int, earlier: list[Record]) -> list[Record]:
        """Return what was polled earlier and what comes now, without what was lost between.

        A partition that comes back to this member begins at its last commit: what was polled of it since comes again.
        """
        self._lost_now.clear()
        records = self._client.poll(timeout_s, most)
        if self._lost_now:
            earlier = [record for record in earlier if record.partition not in self._lost_now]
            if self._batch is not None:
                self._batch.lost.update(self._lost_now)
        return earlier + records

    def _answered(self, batch: Batch) -> Answered:
        """Wait for a batch's answers; keep the membership while they take long."""
        records = batch.records
        self._wait_for(batch.answering)  # what fails in here is of the brokers, and no fault of the model
        try:
            return batch.answering.result()
        except Unavailable as error:
            self._tries += 1
            if self._tries < self._config.attempts:
                raise
            return self._refused(records, error, "transient", TRANSIENT)
        except Exception as error:
            if len(records) > 1:  # which of them it is, each alone will show
                return _joined([self._answered(self._begun([record], batch.release)) for record in records])
            _log.exception("the model failed at %s", origin_json(records[0]).decode())
            return self._refused(records, error, "model_failed", MODEL)

    def _wait_for(self, future: Future[Answered]) -> None:
        last = float("inf")
        wait([future], _PATIENCE_S)
        if not future.done():
            try:
                while not future.done():
                    if self._stop.is_set():
                        last = min(last, time.monotonic() + self._config.drain_s)
                    if time.monotonic() >= last:
                        message = f"a batch must be answered within --drain-s {self._config.drain_s}; it was given up"
                        raise Unavailable(message)
                    self._client.pause(self._client.assigned)
                    # What comes all the same is of a partition that came only now.
                    self._held = self._poll(_POLL_S, 1, self._held)
            finally:
                self._client.resume(self._client.assigned)

    @staticmethod
    def _refused(records: Sequence[Record], error: Exception, cause: str, disposition: str) -> Answered:
        refused = Refused(InvalidInput(str(error) or type(error).__name__, cause=cause), disposition)
        places = range(len(records))
        return Answered(predictions=[None] * len(records), refused=dict.fromkeys(places, refused), sources={})

    def _outgoing(self, batch: Batch, answered: Answered) -> list[Outgoing]:
        """Return what to send, in the order of the requests; of most batches by no call of Python a record."""
        records = batch.records
        targets = map(self._targets.__getitem__, map(_partition, records))
        plain = zip(targets, map(_key, records), answered.predictions, map(_headers, records), strict=True)
        if not (answered.refused or answered.streams or batch.lost or self._oversized):
            return list(map(_new_outgoing, plain))
        return [
            self._outgoing_of(place, record, outgoing, answered)
            for place, (record, outgoing) in enumerate(zip(records, map(_new_outgoing, plain), strict=True))
            if record.partition not in batch.lost
        ]

    def _outgoing_of(self, place: int, record: Record, outgoing: Outgoing, answered: Answered) -> Outgoing:
        whole = (record.partition, record.offset) not in self._oversized
        if outgoing.value is None:
            return self._letters.of(record, answered.refused[place], whole=whole)
        if not whole:
            topic, size_bytes = outgoing.partition.topic, len(outgoing.value)
            text = f"the prediction of {size_bytes} bytes is larger than what {topic} takes"
            refused = Refused(InvalidInput(text, cause="answer_too_large"), POISON)
            return self._letters.of(record, refused, whole=False)
        return outgoing._replace(headers=_arrow_headers(record)) if place in answered.streams else outgoing

    def _look_for_oversized(self, records: Sequence[Record], error: TooLarge) -> None:
        """Do half of the records again; of one alone it is clear."""
        self._drop()
        self._metrics.transactions.labels("aborted").inc()
        if len(records) == 1:
            self._oversized.add((records[0].partition, records[0].offset))
            _log.warning("%s: %s", origin_json(records[0]).decode(), error)
        self._halved = max(len(records) // 2, 1)

    def _done(self, batch: Batch, answered: Answered, *, work_s: float, commit_s: float) -> None:
        metrics, records = self._metrics, [r for r in batch.records if r.partition not in batch.lost]
        self._failures, self._tries, self._halved = 0, 0, 0
        self._oversized.clear()
        self._pace.measured(records=len(batch.records), rows=answered.rows, work_s=work_s, whole_s=work_s + commit_s)
        metrics.records.inc(len(records))
        for source, rows in answered.sources.items():
            metrics.rows.labels(source.text).inc(rows)
        for place, refused in answered.refused.items():
            if batch.records[place].partition in batch.lost:
                continue
            metrics.dead_letters.labels(refused.disposition, refused.error.cause).inc()
        metrics.transactions.labels("committed").inc()
        metrics.batch.observe(len(records))
        metrics.work_s.observe(work_s)
        whole_s = time.perf_counter() - batch.begun
        metrics.transaction_s.observe(whole_s)
        metrics.release.set(batch.release.release)
        oldest_ms = min(map(_timestamp_ms, records))
        if oldest_ms >= 0:
            metrics.queue_s.observe(max(time.time() - whole_s - oldest_ms / 1000, 0.0))
        if time.monotonic() >= self._lag_due:
            self._tell_lag()

    def _tell_lag(self) -> None:
        self._lag_due = time.monotonic() + _LAG_S
        lag = self._client.lag()
        waiting = sum(max(end - position, 0) for position, end in lag.values())
        waiting += len(self._held) + (len(self._ahead.records) if self._ahead else 0)
        metrics = self._metrics
        rows = waiting * (self._pace.rows_a_record or 1)  # nothing is known before the first
        metrics.lag_records.set(waiting)
        metrics.lag_rows.set(rows)
        metrics.lag_s.set(rows * self._pace.row_s)
        metrics.partitions.set(len(self._client.assigned))

    def _fail(self, error: Unavailable) -> None:
        """Begin again from what is committed."""
        self._failures += 1
        self._drop()
        if not isinstance(error, Aborted):  # as after a rebalance, which is no trouble
            self.trouble = str(error)
            self._metrics.ready.set(0)
        self._metrics.faults.labels(type(error).__name__).inc()
        self._metrics.transactions.labels("aborted").inc()
        _log.log(logging.INFO if isinstance(error, Aborted) else logging.WARNING, "trying again: %s", error)

    def _drop(self) -> None:
        """Let go of all that was polled and is not committed: it comes again."""
        self._to_rewind, self._ahead = True, None
        self._held.clear()

    def _lose(self, partitions: Sequence[Partition]) -> None:
        self._lost_now.update(partitions)
        self._metrics.rebalances.inc(len(partitions))


class _Targets(dict[Partition, Partition]):
    """Where the answers to the requests of a partition go."""

    def __init__(self, topic: str, partitions: int) -> None:
        super().__init__()
        self._topic, self._partitions = topic, partitions

    def __missing__(self, partition: Partition) -> Partition:
        target = self[partition] = Partition(self._topic, partition.number % self._partitions)
        return target


def _arrow_headers(record: Record) -> Headers:
    """Return the request's headers, and what an Arrow stream has no place for."""
    kept = tuple(header for header in record.headers if header[0] not in {"content-type", _REQUEST})
    return (*kept, ("content-type", ARROW_STREAM.encode()), (_REQUEST, origin_json(record)))


def _joined(parts: Sequence[Answered]) -> Answered:
    """Return what came of batches of one record each as that of one batch."""
    predictions = [part.predictions[0] for part in parts]
    refused = {place: part.refused[0] for place, part in enumerate(parts) if part.refused}
    sources = {s: sum(part.sources.get(s, 0) for part in parts) for part in parts for s in part.sources}
    streams = frozenset(place for place, part in enumerate(parts) if part.streams)
    rows, took_s = sum(part.rows for part in parts), sum(part.took_s for part in parts)
    return Answered(
        predictions=predictions, refused=refused, streams=streams, rows=rows, sources=sources, took_s=took_s
    )
