"""What the stream counts, for Prometheus. Written once a batch, so that a record costs nothing."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# Seconds.
_BUCKETS = (1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000)


class StreamMetrics:
    """The counters of one stream."""

    def __init__(self) -> None:
        """Start at zero."""
        self.registry = registry = CollectorRegistry()
        self.records = Counter("foretable_stream_records", "Requests answered and committed.", registry=registry)
        self.rows = Counter(
            "foretable_stream_rows", "Rows answered and committed, by where from.", ["source"], registry=registry
        )
        self.dead_letters = Counter(
            "foretable_stream_dead_letters",
            "Requests sent to the dead-letter topic.",
            ["disposition", "cause"],
            registry=registry,
        )
        self.transactions = Counter(
            "foretable_stream_transactions", "Transactions, by how they ended.", ["end"], registry=registry
        )
        self.faults = Counter("foretable_stream_faults", "Tries that failed, by kind.", ["kind"], registry=registry)
        self.rebalances = Counter("foretable_stream_partitions_lost", "Partitions taken away.", registry=registry)
        self.batch = Histogram(
            "foretable_stream_batch_records", "Requests in one transaction.", buckets=_SIZES, registry=registry
        )
        self.transaction_s = Histogram(
            "foretable_stream_transaction_seconds",
            "From decoding a batch to the end of its commit.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self.work_s = Histogram(
            "foretable_stream_work_seconds",
            "Of a batch: decoding, answering, sending.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self.queue_s = Histogram(
            "foretable_stream_queue_seconds",
            "From the time of a batch's oldest request to the beginning of its decoding.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self.lag_records = Gauge("foretable_stream_lag_records", "Requests that wait; 0 if none.", registry=registry)
        self.lag_rows = Gauge("foretable_stream_lag_rows", "About so many rows wait.", registry=registry)
        self.lag_s = Gauge(
            "foretable_stream_lag_work_seconds", "What these would take at the measured rate.", registry=registry
        )
        self.partitions = Gauge("foretable_stream_partitions", "Partitions of this member.", registry=registry)
        self.release = Gauge("foretable_release", "Number of the release that answers.", registry=registry)
        self.ready = Gauge("foretable_stream_ready", "1 where it takes part in the group.", registry=registry)
