"""One row by the model over HTTP, beside what people use for that today, each with the same net and the same body.

Rates come from a closed loop, latencies from an open one: both at half of what the peer can do, and each at half of
what it can do itself. Ours is then asked several times as much, so a bare hello is asked as much beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import orjson

from bench.harness import Result
from bench.load.closed_loop import closed_loop
from bench.load.open_loop import open_loop
from bench.load.reply import Reply, reply
from bench.load.request import Request
from bench.online_models import DIRECT, Row, Served, post_requests, predict_path, tensor_requests
from bench.online_peers import started
from bench.rates import interleaved, ratio
from bench.server_process import ServerProcess
from engine.errors import EngineBug

_SAME = 1e-6
# At that rate the generator and the kernel take most of two cores: what says nothing but hello is no less late.
_OF_HELLO = 1.5


@dataclass(frozen=True)
class Peer:
    """A server to compare with.

    Attributes:
        name: of its module in ``bench/online_peers``, less ``_net``.
        title: as its makers write it.
        goal: how many times its rate ours must be.
        path: of its answers.
        ours: the path of ours that takes the same body.
        requests: makes the body.
    """

    name: str
    title: str
    goal: float
    path: str
    ours: str = predict_path(DIRECT)
    requests: Callable[[Sequence[Row], str], list[Request]] = post_requests


PEERS = (
    Peer("mosec", "mosec", 2, started.INFERENCE),
    Peer("litserve", "LitServe", 5, started.PREDICT),
    Peer("mlserver", "MLServer", 6, started.V2_INFER, f"/v2/models/{DIRECT}/infer", tensor_requests),
    Peer("bentoml", "BentoML", 8, started.PREDICT),
)


@dataclass(frozen=True)
class Side:
    """One of the two servers that are compared, and what it is asked."""

    port: int
    requests: Sequence[Request]

    def rate(self, seconds: float) -> float:
        """Return answers a second in a closed loop."""
        return closed_loop(self.port, self.requests, seconds=seconds).rate

    def p99_s(self, *, rate: float, seconds: float) -> float:
        """Return the latency within which 99 % are answered in an open loop."""
        loop = open_loop(self.port, self.requests, rate=rate, seconds=seconds)
        if loop.unsent or not loop.answered.all():
            print(f"  of {rate:,.0f}/s for {seconds:.0f} s, {loop.counted()}")
        return loop.percentile_of_all_s(0.99)


def measure(command: str, served: Served, folder: Path, *, repeats: int, seconds: float) -> list[Result]:
    """Compare with each peer in turn; ours runs all the while, and a peer only while it is compared."""
    categories = served.categories(folder)
    results = []
    with ServerProcess(served.registry, DIRECT) as server:
        for peer in PEERS:
            ours = Side(server.port, peer.requests(served.rows, peer.ours))
            with _started(peer, served, categories) as theirs:
                _check_same(peer, ours, theirs)
                results += _compare(command, peer, ours, theirs, repeats=repeats, seconds=seconds)
    return results


@contextmanager
def _started(peer: Peer, served: Served, categories: Path) -> Iterator[Side]:
    requests = peer.requests(served.rows, peer.path)
    with started.peer(peer.name, categories, requests[0]) as process:
        yield Side(process.port, requests)


def _compare(command: str, peer: Peer, ours: Side, theirs: Side, *, repeats: int, seconds: float) -> list[Result]:
    rates = interleaved({"ours": lambda: ours.rate(seconds), "theirs": lambda: theirs.rate(seconds)}, repeats=repeats)
    half, half_of_theirs = median(rates["ours"]) / 2, median(rates["theirs"]) / 2
    with started.hello() as floor:
        hello = Side(floor.port, [Request("/")])
        p99 = interleaved(
            {
                "theirs": lambda: theirs.p99_s(rate=half_of_theirs, seconds=seconds),
                "ours at their rate": lambda: ours.p99_s(rate=half_of_theirs, seconds=seconds),
                "ours at our rate": lambda: ours.p99_s(rate=half, seconds=seconds),
                "hello at our rate": lambda: hello.p99_s(rate=half, seconds=seconds),
            },
            repeats=repeats,
        )
    told = ", ".join(f"{name} {median(found) * 1e3:.2f} ms" for name, found in p99.items())
    print(f"  {peer.title}: {2 * half_of_theirs:,.0f}/s, ours {2 * half:,.0f}/s; p99 at half of that: {told}")
    figures = [(f"one row by the model, rate beside {peer.title}", ratio(rates["ours"], rates["theirs"]), peer.goal)]
    latencies = [
        (f"one row by the model, p99 at half of {peer.title}'s rate, beside it", p99["ours at their rate"]),
        (f"one row by the model, p99 at half of the own rate, beside {peer.title}", p99["ours at our rate"]),
    ]
    return [
        *(
            Result(bar=bar, value=value, unit="ratio", goal=goal, better="higher", command=command)
            for bar, value, goal in figures
        ),
        *(
            Result(bar=bar, value=ratio(found, p99["theirs"]), unit="ratio", goal=1, better="lower", command=command)
            for bar, found in latencies
        ),
        Result(
            bar=f"one row by the model, p99 at half of the own rate, beside a bare hello at it, {peer.title}'s round",
            value=ratio(p99["ours at our rate"], p99["hello at our rate"]),
            unit="ratio",
            goal=_OF_HELLO,
            better="lower",
            command=command,
        ),
    ]


def _check_same(peer: Peer, ours: Side, theirs: Side) -> None:
    """Refuse to compare servers that do not do the same work."""
    for mine, other in zip(ours.requests[:10], theirs.requests, strict=False):
        expected, got = _answer(reply(ours.port, mine)), _answer(reply(theirs.port, other))
        if abs(expected - got) > _SAME:
            message = f"{peer.title} must answer as ours does; got {got} and {expected} to {mine.body.decode()}"
            raise EngineBug(message)


def _answer(given: Reply) -> float:
    if given.status != 200:
        message = f"a row must be answered by 200; got {given.status}: {given.body[:300]!r}"
        raise EngineBug(message)
    document = orjson.loads(given.body)
    return float((document["predictions"] if "predictions" in document else document["outputs"][0]["data"])[0])
