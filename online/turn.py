"""The rows that one turn of the event loop brings, answered by one call of each model."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from time import perf_counter

from engine.answer import Answer, Source
from engine.inputs import Inputs
from engine.predictor import Predictor
from engine.runtime import FEW_ROWS
from online.endpoints.row_work import RowWork
from online.exchange import Exchange
from online.failure import failure
from online.http.application import Send
from online.http.reply import Reply

_log = logging.getLogger(__name__)
_Group = list[tuple[RowWork, Send]]
# A call of LiteRT for a few rows takes as long as two for a row each.
_FEWEST = 3


class Turn:
    """Gathers rows for models that are quick, and answers them once the turn is over: none waits for others to come.

    What a client is told does not depend on it, since a row's answer does not depend on its neighbours. All methods are
    for the event loop's thread.
    """

    def __init__(self, finish: Callable[[Exchange, Reply], Reply]) -> None:
        """Keep what completes a reply."""
        self._finish = finish
        self._rows: _Group = []

    def add(self, row: RowWork, send: Send) -> None:
        """Answer a row with this turn's others."""
        if not self._rows:
            asyncio.get_running_loop().call_soon(self._answer)
        self._rows.append((row, send))

    def _answer(self) -> None:
        rows, self._rows = self._rows, []
        groups: dict[Predictor, _Group] = {}
        for row, send in rows:
            if row.deadline is None:
                groups.setdefault(row.served.predictor, []).append((row, send))
            else:
                self._end(row, send, row.answer)
        for predictor, group in groups.items():
            for start in range(0, len(group), FEW_ROWS):
                self._answer_few(predictor, group[start : start + FEW_ROWS])

    def _answer_few(self, predictor: Predictor, group: _Group) -> None:
        values, started = None, perf_counter()
        if len(group) >= _FEWEST:
            try:
                values = predictor.infer_few(Inputs.joined([row.inputs for row, _ in group]))
            except Exception:  # whose fault it is, each row alone will show
                values = None
        if values is None:
            for row, send in group:
                self._end(row, send, row.answer)
            return
        seconds = (perf_counter() - started) / len(group)
        for (row, send), answer in zip(group, values.tolist(), strict=True):
            self._end(row, send, partial(row.answered, Answer(tuple(answer), Source.MODEL), seconds))

    def _end(self, row: RowWork, send: Send, call: Callable[[], Reply]) -> None:
        try:
            try:
                reply = call()
            except Exception as error:
                reply = failure(error, row.exchange)
            send(self._finish(row.exchange, reply))
        except Exception:  # a bug, which must not keep the other rows from their answers
            _log.exception("request %s could not be answered", row.exchange.request_id)
