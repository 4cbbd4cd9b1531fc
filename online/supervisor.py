"""The supervisor of several workers: starts them, hands signals on, and ends all where one ends by itself."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from engine.errors import EngineBug
from engine.logs import start_logging
from engine.program import run
from online.config import PROGRAM, ServeConfig
from online.team import Team

_log = logging.getLogger(__name__)
_SPAWN = multiprocessing.get_context("spawn")
# Beyond --drain-s, before a worker that does not end is killed.
_GRACE_S = 10


def supervise(config: ServeConfig, bound: socket.socket) -> int:
    """Serve a bound socket by ``config.workers`` processes until SIGTERM; return the exit code.

    The first worker loads everything and copies the tables, then the others start: what cannot be loaded is told once.
    One that ends by itself ends the server with its exit code, for whatever restarts servers here to see. A signal has
    them drain, and a second one does not wait.
    """
    workers: list[BaseProcess] = []
    told: list[int] = []

    def end(number: int, _frame: object) -> None:
        told.append(number)
        for worker in workers:
            if len(told) == 1:
                worker.terminate()
            else:
                worker.kill()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    with tempfile.TemporaryDirectory(prefix="foretable-workers-", dir=config.scratch) as folder:
        try:
            announcement = "none yet"
            while announcement and not told and len(workers) < config.workers:
                announcement = _start(config, bound, Team(folder, len(workers)), workers)
            bound.close()  # the workers have it: when they drain, nobody may connect any more
            if announcement and not told:
                print(f"{announcement} by {config.workers} workers", flush=True)
            if told:  # maybe while a worker began, which then knows nothing of it yet
                return 0
            ended = wait([worker.sentinel for worker in workers])
            first = next(worker for worker in workers if worker.sentinel in ended)
            first.join()  # its pipes are closed before it is gone
        finally:
            _end(config, workers)
    return 0 if told else _exit_code(first)


def _start(config: ServeConfig, bound: socket.socket, team: Team, workers: list[BaseProcess]) -> str:
    """Start a worker; return its announcement once it listens, or "" where it ended instead."""
    receiver, sender = _SPAWN.Pipe(duplex=False)
    worker = _SPAWN.Process(target=_work, args=(config, bound, team, sender), name=f"worker {team.number}")
    worker.start()
    workers.append(worker)
    sender.close()
    with receiver:
        try:
            return str(receiver.recv())
        except EOFError:
            return ""


def _end(config: ServeConfig, workers: Sequence[BaseProcess]) -> None:
    """End the workers that are left."""
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join(config.drain_s + _GRACE_S)
        worker.kill()
        worker.join()


def _exit_code(worker: BaseProcess) -> int:
    """Return what the server ends with where this worker ended by itself."""
    code = worker.exitcode or 0
    if code >= 0:
        return code
    _log.error("%s died of %s", worker.name, signal.Signals(-code).name)
    return EngineBug.exit_code


def _work(config: ServeConfig, bound: socket.socket, team: Team, sender: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the supervisor hands it on
    start_logging(config.log_format)
    from online.worker import work

    with sender:
        sys.exit(run(PROGRAM, partial(work, config, bound, announce=sender.send, team=team)))
