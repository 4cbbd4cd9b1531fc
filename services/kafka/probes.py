"""Questions in Kafka's own protocol, with nothing installed: https://kafka.apache.org/protocol.html."""

from __future__ import annotations

import socket
import struct

_TIMEOUT_S = 5.0
_CORRELATION = 1
_CLIENT = b"services"
_METADATA = (3, 1)
_UNREGISTER_BROKER = (64, 0)
_BROKER_ID_NOT_REGISTERED = 102


def broker_waits_for(host: str, port: int) -> str | None:
    """Return None when the controller counts the broker as alive, else what it waits for.

    By then each partition has its leader: the controller says both at once.

    Raises:
        OSError, ValueError: it does not answer, or not yet with sense.
    """
    no_topic = struct.pack(">i", 0)
    (brokers,) = _ask(host, port, _METADATA, no_topic, ">i")  # who they are is left unread
    return None if brokers else "its controller must count it as alive; it does not yet"


def forget_broker(host: str, port: int, broker: int) -> str | None:
    """Have the controller forget a broker; return None when it knows none of this number, else what it waits for.

    Raises:
        OSError, ValueError: it does not answer, or not yet with sense.
    """
    # From its tagged fields on (KIP-482), of which there are none: 0.
    _, _, error = _ask(host, port, _UNREGISTER_BROKER, struct.pack(">Bib", 0, broker, 0), ">bih")
    return (
        None if error in {0, _BROKER_ID_NOT_REGISTERED} else f"it must forget broker {broker}; it answers error {error}"
    )


def _ask(host: str, port: int, request: tuple[int, int], body: bytes, answer: str) -> tuple[int, ...]:
    """Send a request (its key and version); return the first fields of the answer, whose layout is ``answer``."""
    fields = struct.Struct(answer)
    head = struct.Struct(">ii")
    message = struct.pack(">hhih", *request, _CORRELATION, len(_CLIENT)) + _CLIENT + body
    with socket.create_connection((host, port), timeout=_TIMEOUT_S) as connection, connection.makefile("rb") as answers:
        connection.sendall(struct.pack(">i", len(message)) + message)
        received = answers.read(head.size + fields.size)
    if len(received) < head.size + fields.size:
        hung_up = f"{host}:{port} hung up"
        raise ConnectionError(hung_up)
    _, correlation = head.unpack_from(received)
    if correlation != _CORRELATION:
        stranger = f"{host}:{port} does not answer as Kafka does"
        raise ValueError(stranger)
    return fields.unpack_from(received, head.size)
