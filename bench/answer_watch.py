"""Watches a server's answers while its release changes: each must be wholly of one release."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import numpy as np
import orjson

from bench.load.reply import ask, connected
from bench.load.request import Request
from engine.errors import EngineBug

_JOIN_S = 60


class AnswerWatch:
    """Asks for rows on one connection, in a thread of its own, while the context lasts.

    Attributes:
        answers: so far.
        failed: how many were no 200, or did not come.
        mixed: how many had the number of one release and not its value, or a release that is not known.
        seen: releases that answered.
    """

    def __init__(self, port: int, requests: Sequence[Request], known: Mapping[int, Sequence[np.float32]]) -> None:
        """Keep what to ask, and each request's value by release."""
        self._port, self._requests, self._known = port, requests, known
        self.answers, self.failed, self.mixed, self.seen = 0, 0, 0, set[int]()
        self._stopped, self._error = threading.Event(), None
        self._thread = threading.Thread(target=self._run, name="answer watch", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop.

        Raises:
            EngineBug: not one answer came.
        """
        self._stopped.set()
        self._thread.join(_JOIN_S)
        if error is None and not self.answers:
            message = f"the server must answer while it is watched; got {self.failed} failures and no answer"
            raise EngineBug(message)

    def _run(self) -> None:
        with connected(self._port) as connection:
            while not self._stopped.is_set():
                self._ask(connection, (self.answers + self.failed) % len(self._requests))

    def _ask(self, connection: http.client.HTTPConnection, place: int) -> None:
        try:
            got = ask(connection, self._requests[place])
        except (OSError, http.client.HTTPException):
            connection.close()  # the next request connects anew
            self.failed += 1
            return
        if got.status != 200:
            self.failed += 1
            return
        self.answers += 1
        document = orjson.loads(got.body)
        release, (value,) = document["release"], document["outputs"].values()
        self.seen.add(release)
        known = self._known.get(release)
        self.mixed += known is None or bool(known[place] != np.float32(value))
