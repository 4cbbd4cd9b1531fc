"""The stream's program: settings in, a member of the group that answers until SIGTERM."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence

from engine.errors import ForetableError, Unavailable
from engine.follower import Follower
from engine.holder import Holder, Load, load_labelled
from engine.label import LabelRecord
from engine.loading import load_warm
from engine.logs import start_logging
from engine.registry import ModelRegistry, Registry
from engine.scrubber import Scrubber
from engine.settings import described
from streaming.answering import Streamed
from streaming.clients.client import Client, ClientSettings, open_client
from streaming.config import EXACTLY_ONCE, StreamConfig, parse_config
from streaming.loop import Loop
from streaming.metrics import StreamMetrics
from streaming.monitor import Monitor
from streaming.pace import PROFILES
from streaming.rendering import Rendering

_log = logging.getLogger(__name__)
_INTERRUPTED = 130
# Between two tries to reach the brokers.
_PAUSE_S = 2.0
# What aborting and leaving the group may take beyond --drain-s: milliseconds, where brokers answer. With more, an
# orchestrator would kill what waits for those that do not.
_LEAVE_S = 5.0


def main(argv: Sequence[str] | None = None) -> int:
    """Answer until SIGTERM; return the exit code."""
    try:
        config, check = parse_config(sys.argv[1:] if argv is None else argv, os.environ)
        start_logging(config.log_format)
        _log.info("settings: %s", described(config))
        return _check(config) if check else stream(config)
    except ForetableError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:  # while it loads: later a signal drains
        return _INTERRUPTED


def stream(config: StreamConfig) -> int:
    """Load, join the group, answer; return the exit code.

    Raises:
        ForetableError: something cannot be loaded, or settings, rights or topics are wrong.
    """
    holder = _load(config)
    place = config.model, config.label
    stop, metrics = threading.Event(), StreamMetrics()
    Follower(holder, Registry(config.registry), _loader(config), poll_s=config.poll_s).start()
    Scrubber(holder, config.scrub_s).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    client: Client | None = None
    loop: Loop | None = None
    not_yet = f"the brokers at {config.brokers} must answer and let this member in; they have not yet"
    monitor = Monitor(
        config.monitor_host, config.monitor_port, metrics, lambda: not_yet if loop is None else loop.trouble
    )
    ended = threading.Event()
    threading.Thread(target=_end_in_time, args=(stop, ended, config.drain_s), name="grace", daemon=True).start()
    _log.info("connecting to the brokers at %s", config.brokers)
    try:
        while loop is None and not stop.is_set():
            client, loop = _join(config, holder, metrics, stop)
            if loop is not None:
                metrics.ready.set(1)
                print(
                    f"answering {config.requests} by {config.model} release {holder.current[place].release} as "
                    f"{config.instance} of {config.group_name}, monitored on http://{config.monitor_host}:{monitor.port}",
                    flush=True,
                )
                loop.run(stop)
    finally:
        if client is not None:
            client.close()
        monitor.close()
        ended.set()
    if loop is not None and loop.busy:
        logging.shutdown()
        os._exit(0)  # Python would wait for the thread
    return 0


def _end_in_time(stop: threading.Event, ended: threading.Event, drain_s: float) -> None:
    """See to it that the program ends after a signal, whatever it waits for: a broker that is away, most times.

    What is cut off here is what a killed one leaves: a transaction that nobody sees, and the next instance aborts.
    """
    stop.wait()
    if not ended.wait(drain_s + _LEAVE_S):
        _log.warning("the brokers must answer within --drain-s %s and %g s; left without them", drain_s, _LEAVE_S)
        logging.shutdown()
        os._exit(0)


def _join(
    config: StreamConfig, holder: Holder[Streamed], metrics: StreamMetrics, stop: threading.Event
) -> tuple[Client | None, Loop | None]:
    """Open a client and join; where the brokers are away, wait and return nothing."""
    client: Client | None = None
    try:
        client = open_client(config.client, client_settings(config))
        return client, Loop(client, lambda: holder.current[config.model, config.label], config, metrics)
    except Unavailable as error:
        if client is not None:
            client.close()
        _log.warning("waiting for the brokers at %s: %s", config.brokers, error)
        stop.wait(_PAUSE_S)
        return None, None


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


def _loader(config: StreamConfig) -> Load[Streamed]:
    def load(models: ModelRegistry, label: str, record: LabelRecord) -> Streamed:
        predictor = load_warm(models, record, threads=config.threads, scratch=config.scratch)
        rendering = Rendering(models.name, predictor)
        return Streamed(model=models.name, label=label, record=record, predictor=predictor, rendering=rendering)

    return load


def _load(config: StreamConfig) -> Holder[Streamed]:
    models = Registry(config.registry).existing_model(config.model)
    return Holder(load_labelled(models, (config.label,), _loader(config)), (config.label,))


def _check(config: StreamConfig) -> int:
    """Load everything, reach the brokers, and say so."""
    holder = _load(config)
    client = open_client(config.client, client_settings(config))
    try:
        counts = [
            f"{topic} ({client.partitions_of(topic)} partitions)"
            for topic in (config.requests, config.predictions, config.dead_letters)
        ]
    finally:
        client.close()
    print(f"checked {config.model} release {holder.current[config.model, config.label].release}; {', '.join(counts)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
