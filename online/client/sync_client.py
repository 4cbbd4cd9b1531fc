"""The client of everybody without an event loop: scripts, notebooks, threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

from online.client.async_client import AsyncClient, Headers, joined
from online.client.batches import Batch, Data, count_rows, cut
from online.client.loop_thread import LoopThread
from online.client.predictions import Prediction, Predictions
from online.client.progress import progress_bar
from online.client.settings import ClientSettings


class Client(ClientSettings):
    """Asks a server about one model. Threads may share it; a context manager.

    Requests run on one event loop in a thread of the client's own, so that many are under way at the cost of one
    thread, an interrupt ends them all at once, and a notebook's own loop is left alone. The input is read on the
    caller's thread: a generator may use what only that thread may, this client too.

    Example:
        with Client("http://127.0.0.1:8000", "flights") as client:
            prediction = client.predict_row({"carrier": "UA", "origin": "EWR"})
            predictions = client.predict(table)
    """

    def __post_init__(self) -> None:
        """Check the settings and start the thread; nothing is sent yet."""
        super().__post_init__()
        settings = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "_"}
        self.__dict__.update(_client=AsyncClient(**settings), _loop=LoopThread())

    _client: AsyncClient
    _loop: LoopThread

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections and end the thread; harmless when repeated."""
        self._loop.close(self._client.close)

    def predict_row(self, row: Mapping[str, Any], *, headers: Headers = None) -> Prediction:
        """Return the answer to one row: see ``AsyncClient.predict_row``."""
        return self._loop.run(self._client.predict_row(row, headers=headers))

    def predict(
        self,
        data: Data,
        *,
        headers: Headers = None,
        same_release: bool = False,
        keep_faults: bool = False,
    ) -> Predictions:
        """Return the answers to many rows, in their order: see ``AsyncClient.predict``."""
        batches: list[Batch] = []
        parts: list[Predictions] = []
        with progress_bar(count_rows(data), show=self.progress) as bar:
            for batch, part in self._answers(data, headers, keep_faults):
                parts.append(part)
                bar.update(len(part))
                if same_release:
                    batches.append(batch)
        if same_release:
            self._loop.run(self._client.settle(batches, parts, headers=headers, keep_faults=keep_faults))
        return joined(parts)

    def predict_iter(self, data: Data, *, headers: Headers = None, keep_faults: bool = False) -> Iterator[Predictions]:
        """Yield the answers batch by batch, in order: see ``AsyncClient.predict_iter``."""
        for _, part in self._answers(data, headers, keep_faults):
            yield part

    def _answers(self, data: Data, headers: Headers, keep_faults: bool) -> Iterator[tuple[Batch, Predictions]]:
        window: deque[tuple[Batch, Future[Predictions]]] = deque()
        first_row = 0
        try:
            for batch in cut(data, self.batch_rows):
                asked = self._client.ask(batch, headers=headers, first_row=first_row, keep_faults=keep_faults)
                window.append((batch, self._loop.submit(asked)))
                first_row += len(batch)
                while len(window) >= 2 * self.concurrency or (window and window[0][1].done()):
                    yield window[0][0], window[0][1].result()
                    window.popleft()
            while window:
                yield window[0][0], window[0][1].result()
                window.popleft()
        finally:
            for _, future in window:
                future.cancel()
