"""How the stream becomes a member of its group."""

from __future__ import annotations

import logging
import threading

from engine.errors import Unavailable
from engine.holder import Holder
from streaming.clients.client import Client, ClientSettings, open_client
from streaming.config import EXACTLY_ONCE, StreamConfig
from streaming.loop import Loop
from streaming.metrics import StreamMetrics
from streaming.pace import PROFILES
from streaming.streamed import Streamed

_log = logging.getLogger(__name__)
# Between two tries to reach the brokers.
_PAUSE_S = 2.0


def join(
    config: StreamConfig, holder: Holder[Streamed], metrics: StreamMetrics, stop: threading.Event
) -> tuple[Client, Loop] | None:
    """Open a client and join; where the brokers are away, wait until they are back; None where told to stop first.

    Raises:
        BadSettings: settings, rights or topics are wrong.
    """
    while not stop.is_set():
        client: Client | None = None
        try:
            client = open_client(config.client, client_settings(config))
            return client, Loop(client, lambda: holder.current[config.model, config.label], config, metrics)
        except BaseException as error:
            if client is not None:
                client.close()
            if not isinstance(error, Unavailable):
                raise
            _log.warning("waiting for the brokers at %s: %s", config.brokers, error)
            stop.wait(_PAUSE_S)
    return None


def client_settings(config: StreamConfig) -> ClientSettings:
    """Return what the settings mean for a client."""
    profile = PROFILES[config.profile]
    return ClientSettings(
        servers=config.brokers,
        group=config.group_name,
        transactional_id=f"{config.group_name}-{config.instance}" if config.delivery == EXACTLY_ONCE else None,
        instance_id=config.instance if config.static else None,
        session_timeout_ms=round(config.session_s * 1000),
        linger_ms=profile.linger_ms,
        fetch_wait_ms=profile.fetch_wait_ms,
        fetch_min_bytes=profile.fetch_min_bytes,
        security=config.security,
    )
