"""A lookup over HTTP beside a server that only says hello: random rows, with metrics, ETags and block checks on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from bench.harness import Result
from bench.load.closed_loop import closed_loop
from bench.load.reply import reply
from bench.load.request import Request
from bench.online_models import LOOKUP, Served, get_requests
from bench.online_peers import started
from bench.rates import interleaved, ratio
from bench.server_process import ServerProcess
from engine.errors import EngineBug


def measure(command: str, served: Served, *, repeats: int, seconds: float) -> list[Result]:
    """Load both with wrk, in turn."""
    with started.hello() as hello, ServerProcess(served.registry, LOOKUP) as server:
        gets = get_requests(served.rows)
        first = reply(server.port, gets[0])
        if first.status != 200 or b'"source":"table"' not in first.body:
            message = f"a row must be answered by the table; got {first.status}: {first.body[:300]!r}. Is it published?"
            raise EngineBug(message)
        conditional = get_requests(served.rows, (("If-None-Match", first.headers["etag"]),))
        if (status := reply(server.port, conditional[0]).status) != 304:
            message = f"a lookup with the answer's own ETag must be answered by 304; got {status}"
            raise EngineBug(message)
        rates = interleaved(
            {
                "hello": _rate(hello.port, [Request("/")], seconds),
                "GET": _rate(server.port, gets, seconds),
                "304": _rate(server.port, conditional, seconds),
            },
            repeats=repeats,
        )
    print("  " + ", ".join(f"{name} {median(found):,.0f}/s" for name, found in rates.items()))
    return [
        Result(
            bar=f"{bar}, beside bare granian hello",
            value=ratio(rates[name], rates["hello"]),
            unit="ratio",
            goal=goal,
            better="higher",
            command=command,
        )
        for name, bar, goal in (("GET", "GET of a lookup", 0.75), ("304", "304 of a lookup", 0.85))
    ]


def _rate(port: int, requests: Sequence[Request], seconds: float) -> Callable[[], float]:
    return lambda: closed_loop(port, requests, seconds=seconds).rate
