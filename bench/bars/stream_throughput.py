"""Small JSON by the table, exactly once: beside a bare loop, beside Quix Streams, and beside at least once.

All find the same requests waiting, and are watched from outside. The bare loop's transactions and answers are as large
as ours were just before. By confluent-kafka another one answers, too, by the same table: the first does less than any
stream has to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import orjson

from bench.harness import Better, Result
from bench.online_models import LOOKUP, Served
from bench.rates import interleaved, ratio
from bench.stream_process import AT_LEAST_ONCE, CONFLUENT, KAFKA_PYTHON
from bench.stream_sides import Backlog, Ours, bare, quix, write_answers
from engine.errors import EngineBug
from engine.predictor import Predictor

_LOOKED_AT = 500
# The least of a bare loop's rate, and the most that exactly once may cost of at least once's.
_OF_BARE = 0.75
_COST = {KAFKA_PYTHON: 0.3, CONFLUENT: 0.1}
_OF_QUIX = 2.0


@dataclass(frozen=True)
class _Setting:
    served: Served
    backlog: Backlog
    folder: Path
    repeats: int
    seconds: float


def measure(
    command: str, served: Served, backlog: Backlog, folder: Path, *, repeats: int, seconds: float
) -> list[Result]:
    """Compare with both clients; the rounds of each are run before the other's."""
    setting = _Setting(served, backlog, folder, repeats, seconds)
    return [result for client in (KAFKA_PYTHON, CONFLUENT) for result in _compare(command, client, setting)]


def _compare(command: str, client: str, setting: _Setting) -> list[Result]:
    backlog, seconds = setting.backlog, setting.seconds
    ours = Ours(setting.served.registry, client)
    once = Ours(setting.served.registry, client, delivery=AT_LEAST_ONCE)
    first = backlog.answers(ours.on, _LOOKED_AT)
    _check_answers(setting.served, "foretable stream", first)
    answer_bytes = round(sum(map(len, first)) / len(first))
    batches = [ours.measure(backlog, seconds)[1]]

    def exactly_once() -> float:
        rate, batch = ours.measure(backlog, seconds)
        batches.append(batch)
        return rate

    def bare_loop() -> float:
        side = partial(bare, client=client, batch=round(batches[-1]), answer_bytes=answer_bytes)
        return backlog.rate(side, seconds)

    sides: dict[str, Callable[[], float]] = {
        "exactly once": exactly_once,
        "bare loop": bare_loop,
        "at least once": lambda: backlog.rate(once.on, seconds),
    }
    if client == CONFLUENT:
        answers = write_answers(setting.served, setting.folder)
        categories = setting.served.categories(setting.folder)
        peer = partial(quix, batch=round(batches[-1]), categories=categories, answers=answers)
        loop = partial(bare, client=client, batch=round(batches[-1]), answer_bytes=0, table=(categories, answers))
        for name, side in (("Quix Streams", peer), ("bare loop that answers", loop)):
            _check_answers(setting.served, name, backlog.answers(side, _LOOKED_AT))
            sides[name] = partial(backlog.rate, side, seconds)
    rates = interleaved(sides, repeats=setting.repeats)
    told = ", ".join(f"{name} {median(found):,.0f}/s" for name, found in rates.items())
    print(f"  {client}: {told}; {median(batches):,.0f} records a transaction", flush=True)
    return _results(command, client, rates)


def _results(command: str, client: str, rates: dict[str, list[float]]) -> list[Result]:
    exactly = rates["exactly once"]
    name = f"stream of small JSON, exactly once, {client}"
    figures: list[tuple[str, float, float, Better]] = [
        (f"{name}, rate beside a bare loop", ratio(exactly, rates["bare loop"]), _OF_BARE, "higher"),
        (
            f"{name}, what it costs of at least once's rate",
            1 - ratio(exactly, rates["at least once"]),
            _COST[client],
            "lower",
        ),
    ]
    for peer, goal in (("Quix Streams", _OF_QUIX), ("bare loop that answers", _OF_BARE)):
        if peer in rates:
            article = "a " * peer.startswith("bare")
            figures.append((f"{name}, rate beside {article}{peer}", ratio(exactly, rates[peer]), goal, "higher"))
    return [
        Result(bar=bar, value=value, unit="ratio", goal=goal, better=better, command=command)
        for bar, value, goal, better in figures
    ]


def _check_answers(served: Served, who: str, answers: Sequence[bytes]) -> None:
    """Refuse to compare what does not do the same work: each answer must be that of a row that was asked for."""
    expected = set(Predictor.open(served.registry, LOOKUP).predict_rows(served.rows).values[:, 0].tolist())
    for answer in answers:
        document = orjson.loads(answer)
        # As float32 they are written, and read again.
        if document["source"] != "table" or _nearest(document["outputs"]["on_time"]) not in expected:
            message = f"{who} must answer rows by the table; got {answer[:300]!r}"
            raise EngineBug(message)


def _nearest(value: float) -> float:
    import numpy as np

    return float(np.float32(value))
