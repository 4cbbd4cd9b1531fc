"""The broker's configuration file: fit for transactions on one node, and for being killed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from services.kafka.listener import SecureListener
from services.ports import HOST

NODE = 1
PORTS = ("kafka-broker", "kafka-controller", "kafka-secure")

Properties = Mapping[str, str | int]


def write_configuration(file: Path, properties: Properties) -> None:
    """Write a file of Java properties; its directory is made where missing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{name}={_escape(str(value))}\n" for name, value in properties.items()]
    file.write_text("".join(lines), encoding="ascii")


def controller_properties(data: Path, ports: Mapping[str, int]) -> Properties:
    """Properties of the one node as a controller alone.

    Args:
        data: an absolute directory for all that it stores.
        ports: by the names in ``PORTS``.
    """
    controller = f"{HOST}:{ports['kafka-controller']}"
    return {
        "process.roles": "controller",
        "node.id": NODE,
        "controller.quorum.voters": f"{NODE}@{controller}",
        "listeners": f"CONTROLLER://{controller}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(data),
    }


def secure_properties(
    server: Properties, ports: Mapping[str, int], secure: SecureListener, keystore: Path
) -> Properties:
    """Return the properties of one node with a second listener, on the port that is for it."""
    address = f"{HOST}:{ports['kafka-secure']}"
    listeners = f"{server['listeners']},{secure.listener(address)}"
    return {**server, "listeners": listeners, **secure.properties(keystore)}


def server_properties(data: Path, ports: Mapping[str, int]) -> Properties:
    """Properties of the one node as broker and controller. Takes the same as ``controller_properties``."""
    controller = controller_properties(data, ports)
    return {
        **controller,
        "process.roles": "broker,controller",
        "listeners": f"PLAINTEXT://{HOST}:{ports['kafka-broker']},{controller['listeners']}",
        # A name that is mistyped is an error, and not a new topic.
        "auto.create.topics.enable": "false",
        # There is one node: the defaults ask for three.
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        # The default's 50 partitions each would cost 130 MB and half a second at the first transaction; one would have
        # every group and every transaction share a coordinator, which hides what happens between two.
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.num.partitions": 4,
        # A group's first member need not wait 3 s for others. Tests want rebalances.
        "group.initial.rebalance.delay.ms": 0,
        # A member may ask to be missed after 1 s (default: 6 s), so that a test of a killed one need not wait longer.
        "group.min.session.timeout.ms": 1_000,
        # A killed producer's transaction is aborted that soon after its timeout (default: 10 s): until then those who
        # read committed records only wait behind it.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500,
        # Records carry times of their own, which may be years ago: none is too old.
        "log.retention.ms": -1,
        # Mapped beside each segment, twice (default: 10 MiB): hundreds of topics of tests stay small on every disk.
        "log.index.size.max.bytes": 1_048_576,
        # Taken from the heap at the start (default: 128 MiB); enough to compact a million keys at a time.
        "log.cleaner.dedupe.buffer.size": 16_777_216,
        # Records are left to the page cache, as by default: it outlives a killed broker, and nobody waits for a disk.
    }


def _escape(value: str) -> str:
    """Return a value as Java reads it back, in ASCII."""
    text = value.replace("\\", "\\\\")
    return "".join(character if character.isascii() else _escape_utf16(character) for character in text)


def _escape_utf16(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[start]:02x}{units[start + 1]:02x}" for start in range(0, len(units), 2))
