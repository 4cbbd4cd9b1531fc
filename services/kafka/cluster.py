"""One Kafka broker on this machine."""

from __future__ import annotations

import base64
import uuid
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from services.cluster import Cluster
from services.daemon import Daemon
from services.kafka.configuration import (
    NODE,
    PORTS,
    controller_properties,
    secure_properties,
    server_properties,
    write_configuration,
)
from services.kafka.listener import SecureListener
from services.kafka.probes import broker_waits_for, forget_broker
from services.ports import HOST

_HERE = Path(__file__).resolve().parent
_MAIN = "kafka.Kafka"
_STORAGE_TOOL = "kafka.tools.StorageTool"


class KafkaCluster(Cluster):
    """One broker, which is its own controller. Anybody on this machine may do anything; topics are not made by use.

    Attributes:
        bootstrap: what clients connect to, ``127.0.0.1:PORT``.
        secure_bootstrap: what those connect to that say who they are, by SASL over TLS; "" where there is no such
            listener.
        broker: the daemon, running or not.
    """

    name = "kafka"
    pom = _HERE / "pom.xml"
    services = {"kafka": ("kafka",)}
    port_names = PORTS

    def __init__(self, directory: Path, *, secure: SecureListener | None = None, **kept: Any) -> None:
        """See ``Cluster``, which takes ``kept``; have a second listener where one is given."""
        self._secure = secure
        super().__init__(directory, **kept)

    @property
    def environment(self) -> dict[str, str]:
        """What a client's process needs: where the broker is."""
        return {"KAFKA_BOOTSTRAP_SERVERS": self.bootstrap}

    def describe(self) -> list[str]:
        """Return a line for people about the broker, where it runs."""
        return [f"Kafka is {self.bootstrap}"] if self.broker.running else []

    def _set_up(self) -> None:
        self.bootstrap = self._address("kafka-broker")
        self._properties = self.conf_dir / "server.properties"
        properties = server_properties(self.data, self.ports)
        self.secure_bootstrap = ""
        if self._secure is not None:
            keystore = self.conf_dir / "keystore.pem"
            properties = secure_properties(properties, self.ports, self._secure, keystore)
            self.secure_bootstrap = self._address("kafka-secure")
        write_configuration(self._properties, properties)
        if self._secure is not None:
            keystore.write_text(self._secure.keystore_text(), encoding="ascii")
        probe = partial(broker_waits_for, HOST, self.ports["kafka-broker"])
        self.broker = self._add_daemon("kafka", self._java(_MAIN, str(self._properties)), probe)

    def _prepare(self) -> None:
        """Make an empty directory of a new cluster where there is none; after a kill, have the broker forgotten."""
        if not (self.data / "meta.properties").is_file():
            identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            # One word: the identity may begin with a dash.
            options = [f"--cluster-id={identity}", f"--config={self._properties}"]
            options += self._secure.format_options() if self._secure is not None else []
            self._format(self._java(_STORAGE_TOOL, "format", *options))
        elif not self.broker.running and not (self.data / ".kafka_cleanshutdown").is_file():
            self._forget_broker()

    def _forget_broker(self) -> None:
        """Start the controller alone, for as long as it takes to forget the broker that was killed.

        A broker starts with what the metadata said when it was killed: that it leads all partitions. It would take up a
        committed transaction whose markers are not written yet, and would count them as written when its former session
        times out and the partitions lose their leader (as of Kafka 4.3.1, which takes them for deleted): whoever reads
        committed records would wait at that transaction for ever. One that is forgotten leads nothing until it is
        registered, and is so at once, not after the session's 9 s.
        """
        properties = self.conf_dir / "controller.properties"
        write_configuration(properties, controller_properties(self.data, self.ports))
        program = replace(
            self.broker.program,
            name="kafka-controller",
            command=tuple(self._java(_MAIN, str(properties))),
            log=self.broker.program.log.with_name("kafka-controller.log"),
            probe=partial(forget_broker, HOST, self.ports["kafka-controller"], NODE),
        )
        controller = Daemon(program, leashed=True)
        try:
            controller.start()
        finally:
            controller.stop()

    def _java_options(self) -> list[str]:
        return [
            # For hundreds of topics; the process takes 250-300 MB in all. Records are in the page cache.
            "-Xmx768m",
            f"-Dlog4j2.configurationFile={(_HERE / 'log4j2.properties').as_uri()}",
        ]
