"""Free ports, chosen so that they stay free until a daemon binds them, and again when it restarts."""

from __future__ import annotations

import random
import socket
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

HOST = "127.0.0.1"
_LOWEST = 10_000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_DEFAULT_HIGHEST = 32_767
# Each try binds one random port: with half of all ports taken, 200 misses in a row do not happen.
_TRIES = 200


def reserve_ports(
    names: Iterable[str], preferred: Mapping[str, int] | None = None, *, avoided: Collection[int] = ()
) -> dict[str, int]:
    """Choose a free port for each name.

    Random ports below the range from which the kernel takes the ports of outgoing connections: no client's connection
    sits on a daemon's port while the daemon is down for a restart.

    Args:
        names: What the ports are for.
        preferred: Ports of an earlier time; each is kept where it is still free.
        avoided: Ports that somebody is about to bind.

    Raises:
        OSError: No free port was found.
    """
    chosen: dict[str, int] = {}
    with ExitStack() as held:  # all are held until the last is chosen, so that they differ
        for name in names:
            wished = (preferred or {}).get(name)
            holder = _bind(wished) if wished is not None else None
            holder = held.enter_context(holder or _bind_random(avoided))
            chosen[name] = holder.getsockname()[1]
    return chosen


def highest_port() -> int:
    """Return the highest port below the kernel's range for outgoing connections."""
    try:
        lowest_ephemeral = int(_EPHEMERAL.read_text(encoding="ascii").split()[0])
    except OSError:  # not Linux
        return _DEFAULT_HIGHEST
    # Where the range begins too low, there is nothing safe below it.
    return lowest_ephemeral - 1 if lowest_ephemeral > 2 * _LOWEST else _DEFAULT_HIGHEST


def _bind_random(avoided: Collection[int]) -> socket.socket:
    highest = highest_port()
    for _ in range(_TRIES):
        port = random.randint(_LOWEST, highest)  # noqa: S311 - not a secret
        found = None if port in avoided else _bind(port)
        if found:
            return found
    message = f"ports: one of {_LOWEST}-{highest} must be free; {_TRIES} random ones were taken. Stop some servers."
    raise OSError(message)


def _bind(port: int) -> socket.socket | None:
    candidate = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # As Java's servers do: connections of an earlier daemon that linger in TIME_WAIT are no obstacle.
    candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        candidate.bind((HOST, port))
        candidate.listen()
    except OSError:
        candidate.close()
        return None
    return candidate
