"""The stream's program: settings in, a member of the group that answers until SIGTERM."""

from __future__ import annotations

import gc
import logging
import signal
import threading
from collections.abc import Sequence
from contextlib import closing

from engine.follower import Follower
from engine.program import run_configured
from engine.registry import Registry
from engine.scrubber import Scrubber
from streaming.clients.client import open_client
from streaming.config import PROGRAM, StreamConfig, parse_config
from streaming.grace import ending_in_time, exit_despite
from streaming.loop import ANSWERING, Loop
from streaming.membership import client_settings, join
from streaming.metrics import StreamMetrics
from streaming.monitor import Monitor
from streaming.streamed import load_holder, loader

_log = logging.getLogger(__name__)
# A batch makes some five objects a record that live until it is committed. With Python's 700 they would be looked
# through dozens of times meanwhile; with millions, garbage would fill memory.
_GARBAGE_OBJECTS = 100_000


def main(argv: Sequence[str] | None = None) -> int:
    """Answer until SIGTERM; return the exit code."""
    return exit_despite(ANSWERING, run_configured(PROGRAM, parse_config, stream, check, argv))


def stream(config: StreamConfig) -> int:
    """Load, join the group, answer; return the exit code.

    Raises:
        ForetableError: something cannot be loaded, or settings, rights or topics are wrong.
    """
    holder, metrics, stop = load_holder(config), StreamMetrics(), threading.Event()
    loop: Loop | None = None
    not_yet = f"the brokers at {config.brokers} must answer and let this member in; they have not yet"
    Follower(holder, Registry(config.registry), loader(config), poll_s=config.poll_s).start()
    Scrubber(holder, config.scrub_s).start()
    gc.collect()
    gc.freeze()  # what is loaded stays: to look through it for garbage took a quarter of the time of a record
    gc.set_threshold(_GARBAGE_OBJECTS)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    _log.info("connecting to the brokers at %s", config.brokers)
    monitor = Monitor(
        config.monitor_host, config.monitor_port, metrics, lambda: not_yet if loop is None else loop.trouble
    )
    with closing(monitor), ending_in_time(stop, config.drain_s):
        member = join(config, holder, metrics, stop)
        if member is None:
            return 0
        client, loop = member
        with closing(client):
            metrics.ready.set(1)
            release = holder.current[config.model, config.label].release
            print(
                f"answering {config.requests} by {config.model} release {release} as {config.instance} of "
                f"{config.group_name}, monitored on http://{config.monitor_host}:{monitor.port}",
                flush=True,
            )
            loop.run(stop)
    return 0


def check(config: StreamConfig) -> int:
    """Load everything, reach the brokers, and say so; return the exit code."""
    holder = load_holder(config)
    with closing(open_client(config.client, client_settings(config))) as client:
        counts = [
            f"{topic} ({client.partitions_of(topic)} partitions)"
            for topic in (config.requests, config.predictions, config.dead_letters)
        ]
    print(f"checked {config.model} release {holder.current[config.model, config.label].release}; {', '.join(counts)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
