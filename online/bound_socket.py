"""The socket of the server, which is bound before anything is loaded: a port that is taken is told at once."""

from __future__ import annotations

import socket

from engine.errors import BadSettings, Unavailable


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a socket that has an address and does not listen yet; port 0 picks a free one.

    Raises:
        Unavailable: the port is taken.
        BadSettings: this machine has no such address, or this user may not bind the port.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except BaseException:
            bound.close()
            raise
        return bound
    except socket.gaierror as error:
        message = f"--host must be an address of this machine; got {host!r}"
        raise BadSettings(message) from error
    except PermissionError as error:
        message = f"--port must be one that this user may bind; got {port}"
        raise BadSettings(message) from error
    except OSError as error:
        message = f"{host}:{port} must be free to bind: {error.strerror}. Stop what is there, or choose another --port"
        raise Unavailable(message) from error
