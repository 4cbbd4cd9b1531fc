"""10,000 rows in one request: JSON beside Flask with a loop over rows, Arrow by itself, and rows that repeat."""

from __future__ import annotations

import http.client
import random
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import pyarrow as pa

from bench.harness import Result
from bench.load.reply import Reply, ask, connected
from bench.load.request import Request, json_request
from bench.online_models import DIRECT, LOOKUP, Row, Served, predict_path
from bench.online_peers import started
from bench.rates import interleaved, ratio
from bench.server_process import ServerProcess
from bench.timing import seconds
from engine.errors import EngineBug
from engine.wire.arrow_stream import write_arrow
from engine.wire.media_types import ARROW_STREAM

BULK_ROWS = 10_000


def measure(command: str, served: Served, folder: Path, *, repeats: int, arrow: bool) -> list[Result]:
    """Ask both in turn, over one connection each."""
    rows = served.rows[:BULK_ROWS]
    # Apart from each other by chance, as repeats are in life.
    half = random.Random(1).sample([*rows[: BULK_ROWS // 2]] * 2, BULK_ROWS)
    with (
        ServerProcess(served.registry, LOOKUP, DIRECT) as server,
        started.flask(served.categories(folder)) as flask,
        connected(server.port) as ours,
        connected(flask.port) as theirs,
    ):
        results = _beside_flask(command, ours, theirs, rows, repeats=repeats)
        results.append(_repeating(command, ours, rows, half, repeats=repeats))
        if arrow:
            results += [_arrow(command, ours, rows, model, repeats=repeats) for model in (LOOKUP, DIRECT)]
    return results


def _beside_flask(
    command: str,
    ours: http.client.HTTPConnection,
    theirs: http.client.HTTPConnection,
    rows: Sequence[Row],
    *,
    repeats: int,
) -> list[Result]:
    request = json_request(predict_path(DIRECT), {"instances": rows})
    peer = json_request(started.PREDICT, {"instances": rows})
    _answered(ours, request), _answered(theirs, peer)  # what is made once, is
    times = interleaved(
        {
            "ours": lambda: seconds(lambda: _answered(ours, request)),
            "theirs": lambda: seconds(lambda: _answered(theirs, peer)),
        },
        repeats=repeats,
    )
    told = ", ".join(f"{name} {len(rows) / median(found):,.0f} rows/s" for name, found in times.items())
    print(f"  JSON, as the client sees it: {told}")
    return [
        Result(
            bar="10,000 rows of JSON by the model, rate beside Flask with a row loop",
            value=ratio(times["theirs"], times["ours"]),
            unit="ratio",
            goal=3,
            better="higher",
            command=command,
        )
    ]


def _repeating(
    command: str, ours: http.client.HTTPConnection, rows: Sequence[Row], half: Sequence[Row], *, repeats: int
) -> Result:
    none = json_request(predict_path(DIRECT), {"instances": rows})
    some = json_request(predict_path(DIRECT), {"instances": half})
    times = interleaved(
        {"half": lambda: _server_s(ours, some), "none": lambda: _server_s(ours, none)}, repeats=3 * repeats
    )
    print("  JSON, in the server: " + ", ".join(f"{name} repeat {median(t) * 1e3:.1f} ms" for name, t in times.items()))
    return Result(
        bar="10,000 rows of which half repeat, time beside none",
        value=ratio(times["half"], times["none"]),
        unit="ratio",
        goal=1,
        better="lower",
        command=command,
    )


def _arrow(command: str, ours: http.client.HTTPConnection, rows: Sequence[Row], model: str, *, repeats: int) -> Result:
    table = pa.Table.from_pylist(list(rows))
    request = Request(
        predict_path(model),
        "POST",
        (("Content-Type", ARROW_STREAM), ("Accept", ARROW_STREAM)),
        write_arrow(table),
    )
    _answered(ours, request)
    server_s = median(_server_s(ours, request) for _ in range(10 * repeats))
    return Result(
        bar=f"10,000 rows of Arrow by the {'table' if model == LOOKUP else 'model'}, in the server",
        value=len(rows) / server_s,
        unit="rows/s",
        goal=2e6,
        better="higher",
        command=command,
    )


def _server_s(connection: http.client.HTTPConnection, request: Request) -> float:
    """Return how long the server says that it took."""
    told = _answered(connection, request).headers["server-timing"]
    return float(told.partition("dur=")[2].partition(",")[0]) / 1e3


def _answered(connection: http.client.HTTPConnection, request: Request) -> Reply:
    got = ask(connection, request)
    if got.status != 200:
        message = f"{BULK_ROWS:,} rows must be answered by 200; got {got.status}: {got.body[:300]!r}"
        raise EngineBug(message)
    return got
