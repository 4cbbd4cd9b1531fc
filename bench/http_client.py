"""A client that asks a server for the answers to many rows, by GET and by POST, over keep-alive connections.

It parses what comes back by itself: JSON numbers to float32, which must be the very bits that the server had.
"""

from __future__ import annotations

import http.client
import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import numpy as np
import numpy.typing as npt
import orjson

from engine.errors import Unavailable

Row = Mapping[str, object]
_CONNECTIONS = 4
_POST_ROWS = 1000
_TIMEOUT_S = 60


@dataclass(frozen=True)
class Client:
    """Asks one model; picklable.

    Attributes:
        port: on 127.0.0.1.
        model: its name.
        outputs: names in declared order.
    """

    port: int
    model: str
    outputs: tuple[str, ...]

    def get(self, rows: Sequence[Row]) -> npt.NDArray[np.float32]:
        """Ask for each row by itself; float32 of shape (n, width)."""
        return self._spread(self._get_all, rows, -(-len(rows) // (_CONNECTIONS * 4)))

    def post(self, rows: Sequence[Row]) -> npt.NDArray[np.float32]:
        """Ask for many rows at once, half of the bodies in rows and half in columns; float32 of shape (n, width)."""
        return self._spread(self._post, rows, _POST_ROWS)

    def _spread(self, ask: Any, rows: Sequence[Row], size: int) -> npt.NDArray[np.float32]:
        parts = [rows[start : start + size] for start in range(0, len(rows), size)]
        columnar = [bool(number % 2) for number in range(len(parts))]
        with ProcessPoolExecutor(_CONNECTIONS, mp_context=multiprocessing.get_context("spawn")) as pool:
            return np.concatenate(list(pool.map(ask, parts, columnar)))

    def _get_all(self, rows: Sequence[Row], _columnar: bool) -> npt.NDArray[np.float32]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_TIMEOUT_S)
        path = f"/v1/models/{self.model}:predict?"
        answers = []
        for row in rows:
            connection.request("GET", path + urlencode(row))
            answers.append(flat(_document(connection)["outputs"], self.outputs))
        connection.close()
        return np.array(answers, np.float32)

    def _post(self, rows: Sequence[Row], columnar: bool) -> npt.NDArray[np.float32]:
        body = {"inputs": {name: [row[name] for row in rows] for name in rows[0]}} if columnar else {"instances": rows}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_TIMEOUT_S)
        connection.request(
            "POST", f"/v1/models/{self.model}:predict", orjson.dumps(body), {"Content-Type": "application/json"}
        )
        document = _document(connection)
        connection.close()
        if columnar:
            return matrix(document["outputs"], self.outputs)
        several = len(self.outputs) > 1
        answers = [flat(each if several else {self.outputs[0]: each}, self.outputs) for each in document["predictions"]]
        return np.array(answers, np.float32)


def flat(outputs: Mapping[str, Any], names: Sequence[str]) -> list[float]:
    """Return one row's values in declared order; an output is a number, or a list where its width is over 1."""
    values: list[float] = []
    for name in names:
        value = outputs[name]
        values += value if isinstance(value, list) else [value]
    return values


def matrix(outputs: Any, names: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return float32 of shape (n, width) of a columnar body: a list for one output, else lists by name."""
    columns = [outputs] if len(names) == 1 else [outputs[name] for name in names]
    parts = [np.array(column, np.float32) for column in columns]
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def _document(connection: http.client.HTTPConnection) -> Any:
    response = connection.getresponse()
    body = response.read()
    if response.status != http.client.OK:
        message = f"the server must answer 200; got {response.status}: {body[:300]!r}. See its log"
        raise Unavailable(message)
    return orjson.loads(body)
