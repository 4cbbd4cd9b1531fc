"""A worker: loads what is served, listens once each model has answered a row, and drains when it is told to end."""

from __future__ import annotations

import asyncio
import gc
import logging
import multiprocessing
import os
import resource
import shutil
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from functools import partial
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING

import uvloop

from engine.errors import BadSettings, Unavailable
from online.config import ServeConfig
from online.http.limits import Limits
from online.http.listener import Listener
from online.http.traffic import Traffic
from online.team import Team
from online.token import Tokens

if TYPE_CHECKING:
    from online.served import ServedHolder
    from online.serving import Serving

_log = logging.getLogger(__name__)
# How long a thread that computes in Python keeps the interpreter from the event loop. Python's 5 ms would show in every
# lookup beside a large body; much less, and threads take turns so often that both get slower.
_SWITCH_S = 0.5e-3
# Files that are open beside connections: models, tables, the registry, libraries.
_OTHER_FILES = 256
_TELL_S = 1.0


def work(
    config: ServeConfig, bound: socket.socket, *, announce: Callable[[str], object] = print, team: Team | None = None
) -> int:
    """Serve on a bound socket until SIGTERM or SIGINT; return the exit code, or end the process where threads hang.

    Args:
        config: the settings.
        bound: not listening yet.
        announce: told once it listens what is served where.
        team: the workers of this server, where there are several.

    Raises:
        ForetableError: something cannot be loaded.
    """
    sys.meta_path.insert(0, _NoPandas())
    from engine.follower import Follower
    from engine.registry import Registry
    from engine.scrubber import Scrubber
    from online.app import create_app
    from online.served import load

    tokens = Tokens(config.token_file) if config.token_file else None
    folder = team.folder if team else None
    holder, traffic = load_holder(config, team_folder=folder), Traffic()
    app = create_app(holder, config, tokens=tokens, traffic=traffic, team=team)
    beside = [tokens.refresh] if tokens else []
    load_one = partial(load, config=config, team_folder=folder)
    Follower(holder, Registry(config.registry), load_one, poll_s=config.poll_s, beside=beside).start()
    Scrubber(holder, config.scrub_s).start()
    sys.setswitchinterval(_SWITCH_S)
    gc.freeze()  # what is loaded stays: to look through it again and again for garbage stops all threads each time
    listener = Listener(app, _limits(config), traffic)

    async def serve() -> int:
        telling = asyncio.ensure_future(_tell(team, app.serving)) if team else None
        try:
            return await _serve(config, bound, listener, partial(announce, _announcement(config, holder)))
        finally:
            if telling:
                telling.cancel()

    cut = uvloop.run(serve())
    supervisor = multiprocessing.parent_process()
    if team and supervisor and not supervisor.is_alive():
        shutil.rmtree(team.folder, ignore_errors=True)  # who made it cannot remove it any more
    if cut:
        _log.warning("%d requests were not done within --drain-s %d, and were cut", cut, config.drain_s)
        logging.shutdown()
        os._exit(0)  # their threads cannot be stopped, and Python would wait for them
    app.close()
    return 0


def load_holder(config: ServeConfig, *, team_folder: str | None = None) -> ServedHolder:
    """Load what the labels of the configured models point to.

    Raises:
        ForetableError: there is nothing to serve, or something cannot be loaded.
    """
    from engine.holder import load_labelled
    from engine.registry import Registry
    from online.served import ServedHolder, load

    registry = Registry(config.registry)
    models = [registry.existing_model(name) for name in config.models] or list(map(registry.model, registry.models()))
    if not models:
        message = f"registry {registry.url} must have a model; got none. Train and publish one first"
        raise BadSettings(message)
    load_one = partial(load, config=config, team_folder=team_folder)
    loaded = [served for model in models for served in load_labelled(model, config.labels, load_one)]
    return ServedHolder(loaded, config.labels)


async def _serve(config: ServeConfig, bound: socket.socket, listener: Listener, announce: Callable[[], object]) -> int:
    """Listen until a signal or the supervisor's end, then drain; return how many connections had to be cut."""
    loop = asyncio.get_running_loop()
    told, hurry = asyncio.Event(), asyncio.Event()

    def end() -> None:
        (hurry if told.is_set() else told).set()  # a second signal does not wait

    supervisor = multiprocessing.parent_process()
    if supervisor is None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end)
    else:
        # One signal may come twice, from a service manager and from the supervisor, which kills where one must hurry.
        loop.add_signal_handler(signal.SIGTERM, told.set)
        loop.add_reader(supervisor.sentinel, told.set)
    try:
        await listener.open(bound, _tls(config))
    except OSError as error:  # who binds without listening keeps nobody from binding
        message = (
            f"{config.url} must be free to listen on: {error.strerror}. Stop what is there, or choose another --port"
        )
        raise Unavailable(message) from error
    announce()
    await told.wait()
    if supervisor is not None:
        loop.remove_reader(supervisor.sentinel)
    draining = asyncio.ensure_future(listener.drain(config.drain_s))
    hurrying = asyncio.ensure_future(hurry.wait())
    await asyncio.wait((draining, hurrying), return_when=asyncio.FIRST_COMPLETED)
    hurrying.cancel()
    return await draining if draining.done() else listener.traffic.connections


async def _tell(team: Team, serving: Serving) -> None:
    """Tell the other workers every second what this one has counted; remove tables that it serves no more."""
    problem = ""
    while True:
        tables = [served.predictor.table for served in serving.holder.current.values()]
        try:
            team.tell(serving.own_snapshot())
            team.prune(table.spec.key for table in tables if table)
            problem = ""
        except OSError as error:
            if str(error) != problem:  # once, not every second
                _log.error("the other workers' /metrics lack what this one has counted: %s", error)
            problem = str(error)
        await asyncio.sleep(_TELL_S)


def _announcement(config: ServeConfig, holder: ServedHolder) -> str:
    first = config.labels[0]
    releases = ", ".join(
        f"{model} release {served.release}" + (f" at {label}" if label != first else "")
        for (model, label), served in holder.current.items()
    )
    return f"serving {releases} on {config.url}"


def _limits(config: ServeConfig) -> Limits:
    """Return the limits of the settings; raise this process's on open files to what connections need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = config.max_connections + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft < wanted:
            _log.warning("open files are limited to %d: connections to %d", soft, soft - _OTHER_FILES)
            wanted = soft
    return Limits(
        body_bytes=config.max_body_bytes,
        buffered_bytes=config.max_body_bytes * config.max_concurrent,
        connections=wanted - _OTHER_FILES,
        idle_s=config.idle_s,
    )


def _tls(config: ServeConfig) -> ssl.SSLContext | None:
    if not (config.tls_cert and config.tls_key):
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(config.tls_cert, config.tls_key)
    return context


class _NoPandas(MetaPathFinder):
    """Hides pandas: Arrow imports it at its first array, where it is installed, and nothing here uses it.

    It would cost 0.3 s at the start and 40 MB.
    """

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:  # noqa: ARG002  # the base's signature
        """Say that there is no pandas, and nothing about other modules."""
        if fullname == "pandas":
            message = "pandas is not used by the server"
            raise ModuleNotFoundError(message, name=fullname)
