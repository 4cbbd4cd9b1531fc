"""The Kafka that tests run on: one broker of this session's own, or the one that ``SERVICES_KAFKA`` names."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.daemon import Daemon
from services.errors import FetchFailed, MissingTool
from services.kafka.cluster import KafkaCluster
from services.kafka.listener import SecureListener
from tests.support.certificate import make_certificate
from tests.support.services import missing_service

EXTERNAL = "SERVICES_KAFKA"


@dataclass(frozen=True)
class Kafka:
    """A running Kafka.

    Attributes:
        bootstrap: what clients connect to, ``host:port``.
        cluster: the broker's, or None where it is not ours.
        secure: its second listener, where it is ours.
    """

    bootstrap: str
    cluster: KafkaCluster | None
    secure: SecureListener | None = None

    @property
    def killable(self) -> bool:
        """Whether tests may stop the broker."""
        return self.cluster is not None

    @property
    def broker(self) -> Daemon:
        """The broker's process; the test skips where it is not ours."""
        return self._own().broker

    def fresh_topic(self, name: str, *, partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        """Make an empty topic for one test, and return what it is called: ``name``, and something random.

        Each partition has its leader by then.

        Args:
            name: what the test calls it.
            partitions: how many.
            config: the topic's own settings, such as ``{"max.message.bytes": "1000"}``.
        """
        from kafka.admin import KafkaAdminClient

        topic = f"{name}-{secrets.token_hex(4)}"
        settings = {"num_partitions": partitions, "configs": dict(config or {})}
        with KafkaAdminClient(bootstrap_servers=self.bootstrap) as admin:
            admin.create_topics({topic: settings}, wait_for_metadata=True)
        return topic

    @contextmanager
    def without_broker(self) -> Iterator[None]:
        """Kill the broker for as long as the block runs; after it, it is back on its port, with its data."""
        cluster = self._own()
        try:
            cluster.broker.kill()
            yield
        finally:
            cluster.start("kafka")

    def restart(self) -> None:
        """Stop the broker as an operator would, and start it again on its port, with its data."""
        cluster = self._own()
        cluster.stop()
        cluster.start("kafka")

    def secured(self) -> tuple[str, SecureListener]:
        """Return where the listener is that asks who comes, by SASL over TLS, and whom it lets in."""
        cluster = self._own()
        assert self.secure is not None
        return cluster.secure_bootstrap, self.secure

    def _own(self) -> KafkaCluster:
        if self.cluster is None:
            pytest.skip(f"needs a broker of its own; that of {EXTERNAL} is not ours")
        return self.cluster


@contextmanager
def running_kafka(directory: Path) -> Iterator[Kafka]:
    """Give a running Kafka, started in ``directory`` unless there is an external one, and stop it after.

    The test skips (in CI: fails) where Java or Maven is missing.
    """
    bootstrap = os.environ.get(EXTERNAL)
    if bootstrap:
        yield Kafka(bootstrap, None)
        return
    certificate, key = make_certificate(directory)
    secure = SecureListener(certificate=certificate, key=key, user="stream", password=secrets.token_hex(8))
    try:
        cluster = KafkaCluster(directory, leashed=True, secure=secure)
    except (MissingTool, FetchFailed) as error:
        missing_service("Kafka", str(error))
    try:
        cluster.start("kafka")
        yield Kafka(cluster.bootstrap, cluster, secure)
    finally:
        cluster.stop()
        cluster.wipe()  # gigabytes at times; the logs stay
