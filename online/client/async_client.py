"""The client of an event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import httpx
import orjson

from engine.errors import InvalidInput, Unavailable
from online.client.batches import Batch, Cutter, Data, count_rows, cut
from online.client.body import BODIES, NAMELESS, Body
from online.client.failure import reading
from online.client.float_text import to_float32
from online.client.predictions import Prediction, Predictions, join
from online.client.progress import progress_bar
from online.client.query import row_query
from online.client.retry import Retry
from online.client.settings import ClientSettings
from online.client.tags import TagCache
from online.client.transport import Transport

Headers = Mapping[str, str] | None


class AsyncClient(ClientSettings):
    """Asks a server about one model, from one event loop. An asynchronous context manager.

    Example:
        async with AsyncClient("http://127.0.0.1:8000", "flights") as client:
            prediction = await client.predict_row({"carrier": "UA", "origin": "EWR"})
    """

    def __post_init__(self) -> None:
        """Check the settings; nothing is opened yet."""
        super().__post_init__()
        self.__dict__.update(_transport=Transport(self), _tags=TagCache(), _only_outputs={})

    _transport: Transport
    _tags: TagCache
    _only_outputs: dict[int, str]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def predict_row(self, row: Mapping[str, Any], *, headers: Headers = None) -> Prediction:
        """Return the answer to one row of raw values by feature name.

        It is a GET, which caches understand; what this client has seen before is confirmed by its entity tag. A row
        that a query cannot carry (a tensor, a null) is a POST.

        Raises:
            InvalidInput: the row is at fault.
            Unavailable: no try was answered; ``DeadlineExceeded``: none before the deadline.
            NotFound, BadSettings: the model is not there; token, url or certificate are at fault.
        """
        query = row_query(row)
        if query is None:
            return _first(await self.ask([row], BODIES["json"], headers=headers))
        suffix = f":predict?{query}"
        kept = self._tags.get(suffix)
        tag = {} if kept is None else {"If-None-Match": kept.etag}
        response = await self._transport.send(
            self._transport.request("GET", suffix, headers={**(headers or {}), **tag})
        )
        if response.status_code == 304 and kept is not None:
            return _prediction(kept.content)
        with reading(response):
            prediction = _prediction(response.content)
        self._tags.keep(suffix, response.headers.get("ETag"), response.content)
        return prediction

    async def predict(
        self,
        data: Data,
        *,
        headers: Headers = None,
        same_release: bool = False,
        keep_faults: bool = False,
    ) -> Predictions:
        """Return the answers to many rows, in their order; bodies of ``batch_rows`` rows are sent in parallel.

        Args:
            data: rows (mappings), columns by name, an Arrow table or stream, a DataFrame, or an iterable of these,
                asynchronous or not, which is read only as far as requests are sent.
            headers: sent with each body, e.g. ``traceparent``. An ``X-Request-Id`` is then that of all.
            same_release: ask again for what another release answered, until one release answered all. Without it,
                ``releases`` says which rows are from which. The input is then kept to the end.
            keep_faults: answer the other rows where some are at fault, and say why in ``faults``: for input that
                goes as Arrow. Otherwise the first bad row raises.

        Raises:
            InvalidInput: a row or the input as a whole is at fault.
            Unavailable: no try was answered, or no release answered all; ``DeadlineExceeded``: not in time.
            NotFound, BadSettings: the model is not there; token, url or certificate are at fault.
        """
        batches: list[Batch] = []
        parts: list[Predictions] = []
        with progress_bar(count_rows(data), show=self.progress) as bar:
            async with aclosing(self._answers(data, headers, keep_faults)) as answers:
                async for batch, part in answers:
                    parts.append(part)
                    bar.update(len(part))
                    if same_release:
                        batches.append(batch)
        if same_release:
            await self.settle(batches, parts, headers=headers, keep_faults=keep_faults)
        return joined(parts)

    async def predict_iter(
        self, data: Data, *, headers: Headers = None, keep_faults: bool = False
    ) -> AsyncGenerator[Predictions, None]:
        """Yield the answers batch by batch, in order, while later ones are under way. Memory stays bounded.

        Cut as ``predict`` does: a batch within an iterable of batches that has ``batch_rows`` rows or fewer is
        answered as it is. ``data``, ``headers``, ``keep_faults`` and errors are those of ``predict``.
        """
        async with aclosing(self._answers(data, headers, keep_faults)) as answers:
            async for _, part in answers:
                yield part

    async def ask(
        self,
        batch: Batch,
        body: Body | None = None,
        *,
        headers: Headers = None,
        first_row: int = 0,
        keep_faults: bool = False,
    ) -> Predictions:
        """Return the answers to one batch, by one request; ``first_row`` is its place in the input, for messages."""
        form = body or BODIES[self.body or ("json" if isinstance(batch, list) else "arrow")]
        where = f"rows {first_row} to {first_row + len(batch) - 1}: " if first_row else ""
        try:
            # Off the loop, which has other requests to serve meanwhile.
            content = await asyncio.to_thread(form.encode, batch)
            own = {**(headers or {}), "Content-Type": form.content_type}
            response = await self._transport.send(
                self._transport.request("POST", ":predict", content=content, headers=own)
            )
        except InvalidInput as error:
            cure = f". Lower batch_rows, now {self.batch_rows}" if error.cause == "too_many_rows" else ""
            message = f"{where}{error}{cure}"
            raise InvalidInput(message, cause=error.cause, feature=error.feature) from error
        with reading(response):
            part = await asyncio.to_thread(form.decode, response.content, response.headers)
            if len(part) != len(batch):
                message = f"an answer to {len(batch)} rows has {len(part)}"
                raise ValueError(message)
        if part.faults and not keep_faults:
            row, fault = next(iter(part.faults.items()))
            message = f"row {first_row + row}: {fault}"
            raise InvalidInput(message, cause=fault.cause, feature=fault.feature) from fault
        if NAMELESS in part.values:
            name = await self._only_output(int(part.releases[0]))
            return replace(part, values={name: part.values[NAMELESS]})
        return part

    async def settle(
        self, batches: Sequence[Batch], parts: list[Predictions], *, headers: Headers, keep_faults: bool
    ) -> None:
        """Ask again, in place, for the parts that another release answered than the one that answered last.

        Raises:
            Unavailable: the releases still differ after all retries.
        """
        tries = Retry(self.retries, self.give_up_s)
        last = len(parts) - 1
        while True:
            found = [int(part.releases[0]) for part in parts]
            others = [number for number, release in enumerate(found) if release != found[last]]
            if not others:
                return
            pause_s = tries.next_pause_s()
            if pause_s is None:
                message = (
                    f"model {self.model!r}: one release must answer all rows; got {sorted(set(found))} after "
                    f"{tries.tries} rounds. Try again once the servers have changed over, or name a version"
                )
                raise Unavailable(message)
            await self._transport.pause(pause_s)
            again = (self.ask(batches[number], headers=headers, keep_faults=keep_faults) for number in others)
            for number, part in zip(others, await asyncio.gather(*again), strict=True):
                parts[number] = part
            last = others[-1]

    async def _answers(
        self, data: Data, headers: Headers, keep_faults: bool
    ) -> AsyncGenerator[tuple[Batch, Predictions], None]:
        """Yield each batch and its answers, in order.

        Twice the batches that can be under way are held: behind a slow one the other places go on for a while.
        """
        window: deque[tuple[Batch, asyncio.Task[Predictions]]] = deque()
        first_row = 0
        try:
            async for batch in _batches(data, self.batch_rows):
                task = asyncio.create_task(
                    self.ask(batch, headers=headers, first_row=first_row, keep_faults=keep_faults)
                )
                window.append((batch, task))
                first_row += len(batch)
                await asyncio.sleep(0)  # lets it begin, where the input never pauses
                while len(window) >= 2 * self.concurrency or (window and window[0][1].done()):
                    yield window[0][0], await window[0][1]
                    window.popleft()
            while window:
                yield window[0][0], await window[0][1]
                window.popleft()
        finally:
            tasks = [task for _, task in window]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _only_output(self, release: int) -> str:
        """Return the name of the only output: JSON answers leave it out, as TensorFlow Serving's do."""
        if release not in self._only_outputs:
            response: httpx.Response = await self._transport.send(self._transport.request("GET", "/metadata"))
            with reading(response):
                self._only_outputs[release] = str(orjson.loads(response.content)["foretable"]["outputs"][0]["name"])
        return self._only_outputs[release]


def joined(parts: Sequence[Predictions]) -> Predictions:
    """Return the answers to a whole input.

    Raises:
        InvalidInput: it had no row.
    """
    if not parts:
        message = "the input must have at least one row; got none"
        raise InvalidInput(message, cause="bad_body")
    return join(parts)


async def _batches(data: Data, batch_rows: int) -> AsyncIterator[Batch]:
    if isinstance(data, AsyncIterable):
        cutter = Cutter(batch_rows)
        async for item in data:
            for batch in cutter.take(item):
                yield batch
        for batch in cutter.rest():
            yield batch
    else:
        for batch in cut(data, batch_rows):
            yield batch


def _prediction(content: bytes) -> Prediction:
    found = orjson.loads(content)
    outputs: dict[str, Any] = {name: to_float32(value)[()] for name, value in found["outputs"].items()}
    return Prediction(outputs, found["source"], found["release"])


def _first(answers: Predictions) -> Prediction:
    outputs = {name: values[0] for name, values in answers.values.items()}
    return Prediction(outputs, str(answers.sources[0]), int(answers.releases[0]))
