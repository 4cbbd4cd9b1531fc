"""The demo: the whole way on real flights, by the commands that anyone would type.

Train on the flights out of New York in 2013, precompute all 8,467,200 answers, publish, serve, ask, draw.
"""

from __future__ import annotations

import argparse
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlencode

from tqdm import tqdm

from engine.errors import EngineBug, Unavailable
from engine.predictor import Predictor
from engine.registry import Registry
from examples.flights import picture
from jobs.precompute import Precomputed, PrecomputeSettings, precompute
from jobs.precompute import summary as precompute_summary
from jobs.program import Parser, Result, add_common, run
from jobs.publish import NO_TABLE, Published, PublishSettings, publish
from jobs.runner import RUNNERS, open_runner
from jobs.train import Trained, TrainJob, train
from jobs.train import summary as train_summary

_DEFINITION = Path(__file__).with_name("definition.py")
_QUESTIONS = (
    {"carrier": "UA", "origin": "EWR", "dest": "SFO", "month": 1, "weekday": 1, "hour": 6},
    {"carrier": "UA", "origin": "EWR", "dest": "SFO", "month": 7, "weekday": 5, "hour": 19},
    {"carrier": "HA", "origin": "JFK", "dest": "HNL", "month": 9, "weekday": 2, "hour": 9},
    {"carrier": "UA", "origin": "EWR", "dest": "CDG", "month": 1, "weekday": 1, "hour": 6},
)
_LABELS = ("production", "model-only")
_WAIT_S = 60


def parser() -> Parser:
    """Return the program's options."""
    options = Parser(prog="foretable demo", description=__doc__)
    options.add_argument("--folder", type=Path, default=Path("demo"), help="where everything goes; default: ./demo")
    options.add_argument("--runner", default="auto", choices=RUNNERS, help="what precomputes; default: auto")
    add_common(options, registry=False)
    return options


def work(arguments: argparse.Namespace) -> Result:
    """Run the demo, each step as the command that is shown before it does it."""
    started = time.monotonic()
    folder, quiet = str(arguments.folder / "models"), arguments.json
    registry = Registry(folder)

    def show(line: object) -> None:
        if not quiet:
            tqdm.write(str(line))

    show(f"$ foretable train examples/flights/definition.py --registry {folder}")
    trained = train(registry, TrainJob(definition=str(_DEFINITION), quiet=quiet), show)
    show(f"{train_summary(trained)}\n\n$ foretable precompute flights --registry {folder} --runner {arguments.runner}")
    settings = PrecomputeSettings(model="flights", bundle=trained.bundle, quiet=quiet)
    table = precompute(registry, settings, lambda: open_runner(arguments.runner))
    show(f"{precompute_summary(table)}\n\n$ foretable publish flights --registry {folder}")
    published = publish(registry, PublishSettings(model="flights", bundle=trained.bundle, reason="demo"), show)
    # The same bundle without its table, under a label of its own, to compare with.
    bare = PublishSettings(model="flights", bundle=trained.bundle, table=NO_TABLE, label="model-only", reason="demo")
    publish(registry, bare)
    show(f"release {published.release.number}: production points to it\n")
    with _server(folder, show) as url:
        _ask(url, show)
    _compare(folder, show)
    target = arguments.folder / "on-time.png"
    picture.draw(Predictor.open(folder, "flights"), target)
    seconds = time.monotonic() - started
    text = _summary(trained, table, published, target, seconds)
    return Result(text, seconds=seconds, picture=str(target), trained=asdict(trained), precomputed=asdict(table))


@contextmanager
def _server(registry: str, show: Callable[[object], None]) -> Iterator[str]:
    """Serve on a free port; yield the URL; stop the server."""
    command = ["serve", "flights", "--registry", registry, "--port", "0"]
    show(f"$ foretable {' '.join(command)}")
    log = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115  # closed below
    with (
        log,
        subprocess.Popen(
            [sys.executable, "-m", "foretable", *command], stdout=subprocess.PIPE, stderr=log, text=True
        ) as server,
    ):
        try:
            line = server.stdout.readline().strip() if server.stdout else ""
            if " on http" not in line:
                log.seek(0)
                message = f"foretable serve ended with {server.wait(_WAIT_S)}: {log.read()[-500:]}"
                raise Unavailable(message)
            show(line)
            yield line.rpartition(" on ")[2]
        finally:
            server.terminate()
            server.wait(_WAIT_S)


def _ask(url: str, show: Callable[[object], None]) -> None:
    """Ask over HTTP and show where each answer came from; one question has an airport that nobody trained on."""
    for question in _QUESTIONS:
        address = f"{url}/v1/models/flights:predict?{urlencode(question)}"
        try:
            with urllib.request.urlopen(address, timeout=_WAIT_S) as response:  # noqa: S310  # our own server
                body = response.read()
        except urllib.error.HTTPError as error:  # the question that is wrong on purpose
            body = error.read()
        show(f"$ curl '{address}'\n  {body.decode().strip()}")


def _compare(registry: str, show: Callable[[object], None]) -> None:
    """Answer one question from the table and from the model, and hold the bits against each other."""
    answers = [Predictor.open(registry, "flights", label=label).predict_row(_QUESTIONS[0]) for label in _LABELS]
    bits = [struct.pack("<f", answer.values[0]).hex() for answer in answers]
    found = ", ".join(f"{answer.source.text} {each}" for answer, each in zip(answers, bits, strict=True))
    show(f"\nThe first question, from the release with a table and from the one without, as float32 bits: {found}")
    if len(set(bits)) != 1:
        message = f"table and model must answer with the same bits; got {found}"
        raise EngineBug(message)


def _summary(trained: Trained, table: Precomputed, published: Published, target: Path, seconds: float) -> str:
    passed = sum(check.passed for check in published.checks)
    return f"""
trained      {train_summary(trained)}
precomputed  {precompute_summary(table)}
published    release {published.release.number}; {passed} of {len(published.checks)} checks passed
picture      {target}
in all       {seconds:.0f} s"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return run(parser(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
