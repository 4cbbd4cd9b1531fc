"""``make parity``: every path gives the same bytes.

Random rows, given as raw values the way users give them, are answered by the published table, by the model in Python
at batch 1 and at batch 1,024, over HTTP by GET and by POST from a real server, by tables that the local and the Spark
runner compute anew, by scoring jobs over each input format and by the DataFrame door. One line a path says how many
rows have the very bits of the model's answer at batch 1, after the codec. Without --registry the flights model is
trained first, and published with each codec.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from bench.flights import publish_flights
from bench.http_client import Client
from bench.parity_batch import batch_answers
from bench.random_rows import RandomRows, random_rows
from bench.server_process import ServerProcess
from engine.codec import CODECS
from engine.errors import BadSettings, EngineBug
from engine.predictor import Predictor
from engine.registry import ModelRegistry, Registry
from engine.table import DenseTable
from jobs.precompute import PrecomputeSettings, precompute
from jobs.program import Parser, Result, positive, run
from jobs.runner import open_runner, spark_is_installed

Values = npt.NDArray[np.float32]
BATCHES = (1, 1024)


def equal_rows(values: Values, wanted: Values) -> int:
    """Return how many rows of two float32 arrays of shape (n, width) have the same bits."""
    if values.shape != wanted.shape or values.dtype != np.float32:
        message = f"answers must be float32 of shape {wanted.shape}; got {values.dtype} of shape {values.shape}"
        raise EngineBug(message)
    pairs = (np.ascontiguousarray(each).view(np.uint32) for each in (values, wanted))
    return int(np.equal(*pairs).all(axis=1).sum())


def answers(registry: Registry, model: str, rows: RandomRows, runners: Sequence[str]) -> Iterator[tuple[str, Values]]:
    """Yield each path's name and its answers, float32 of shape (n, width); the first is what the others must be.

    Raises:
        BadSettings: the release has no table.
        InvalidInput: a row is refused.
    """
    predictor = Predictor.open(registry.url, model)
    if predictor.table is None:
        message = f"release {predictor.release.number} of {model} must have a table; got none. Publish one with a table"
        raise BadSettings(message)
    encoded = predictor.space.encode(rows.table)
    if encoded.faults:
        raise next(iter(encoded.faults.values()))
    for batch in BATCHES:
        parts = (encoded.inputs.take(slice(at, at + batch)) for at in range(0, len(encoded), batch))
        yield f"model, batch {batch:,}", np.concatenate([predictor.infer(part) for part in parts])
    found = predictor.predict(rows.table)
    yield "table, bulk", np.where(found.source[:, np.newaxis] == 1, found.values, np.float32(np.nan))
    dicts = rows.dicts()
    looked_up = (predictor.lookup(row) for row in dicts)
    yield "table, one row at a time", np.array([each.values for each in looked_up if each], np.float32)
    with ServerProcess(registry.url, model) as server:
        client = Client(server.port, model, tuple(predictor.schema.names))
        yield "HTTP GET", client.get(dicts)
        yield "HTTP POST", client.post(dicts)
    for runner in runners:
        yield f"{runner} runner's shards", computed_anew(registry.model(model), predictor, runner, rows)
    yield from batch_answers(registry, predictor, rows, runners)


def computed_anew(models: ModelRegistry, predictor: Predictor, runner: str, rows: RandomRows) -> Values:
    """Precompute the release's table by a runner in a registry of its own; return what its shards hold.

    Raises:
        EngineBug: the table is not the one that was published.
    """
    release = predictor.release
    with tempfile.TemporaryDirectory() as folder:
        own = Registry(folder)
        copy_bundle(models, own.model(models.name), release.bundle)
        settings = PrecomputeSettings(
            model=models.name,
            bundle=release.bundle,
            variant=release.variant,
            codec=str(release.codec["name"]),
            shard_rows=predictor.table.spec.shard_rows if predictor.table else None,
            override="parity asks whether the bits are equal, not which variant is fast",
            quiet=True,
        )
        table = precompute(own, settings, lambda: open_runner(runner, workers=2)).table
        path = own.model(models.name).table_path(table)
        if table != release.table:
            message = f"the {runner} runner must make the table {release.table}; got {table}"
            raise EngineBug(message)
        values, hit = DenseTable.open(own.storage, path).lookup(rows.ordinals)
        return np.where(hit[:, np.newaxis], values, np.float32(np.nan))


def copy_bundle(source: ModelRegistry, target: ModelRegistry, identity: str) -> None:
    """Copy a bundle from one registry to another, its manifest last."""
    bundle = source.bundle(identity)
    for name in (*bundle.manifest["files"], "manifest.json"):
        target.storage.create(f"{bundle.path}/{name}", source.storage.read(f"{bundle.path}/{name}"))


def compare(registry: Registry, model: str, count: int, runners: Sequence[str]) -> tuple[int, int]:
    """Print one line a path; return how many paths there were, and how many of them differ somewhere."""
    predictor = Predictor.open(registry.url, model)
    rows = random_rows(predictor.space, count)
    print(f"{model} release {predictor.release.number}, {predictor.release.codec['name']}, {count:,} random rows")
    wanted: Values | None = None
    paths = differing = 0
    for path, values in answers(registry, model, rows, runners):
        wanted = values if wanted is None else wanted
        equal = equal_rows(values, wanted)
        paths, differing = paths + 1, differing + (equal < count)
        print(f"  {'equal  ' if equal == count else 'DIFFERS'}  {path:<26} {equal:,} of {count:,}", flush=True)
    return paths, differing


def parser() -> Parser:
    """Return the program's options."""
    options = Parser(prog="python -m bench.parity", description=__doc__)
    options.add_argument("--registry", metavar="URL", help="check the release in production here; default: publish one")
    options.add_argument("--model", default="flights", help="which model; default: flights")
    options.add_argument("--rows", type=positive, default=100_000, metavar="N", help="random rows; default: 100000")
    options.add_argument("--no-spark", action="store_true", help="leave the Spark runner out")
    options.add_argument("--json", action="store_true", help="print the result as one line of JSON")
    options.add_argument("--debug", action="store_true", help="show the traceback of an unexpected error")
    return options


def work(arguments: argparse.Namespace) -> Result:
    """Compare as the arguments say.

    Raises:
        BadSettings: there is no Spark, and it was not left out.
        EngineBug: a path differs.
    """
    if not arguments.no_spark and not spark_is_installed():
        message = "parity needs pyspark and Java 17 or 21 (make java); leave Spark out with --no-spark"
        raise BadSettings(message)
    runners = ("local",) if arguments.no_spark else ("local", "spark")
    if arguments.registry:
        found = [compare(Registry(arguments.registry), arguments.model, arguments.rows, runners)]
    else:
        with tempfile.TemporaryDirectory(prefix="foretable-parity-") as folder:
            registry = Registry(str(Path(folder) / "models"))
            found = []
            for codec in tqdm(CODECS, desc="parity", unit="release", disable=None):
                publish_flights(registry, codec)
                found.append(compare(registry, "flights", arguments.rows, runners))
    paths, differing = (sum(column) for column in zip(*found, strict=True))
    if differing:
        message = f"every path must give the same bits; got {differing} of {paths} that differ"
        raise EngineBug(message)
    return Result(f"{paths} paths give the same bits", paths=paths, rows=arguments.rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return run(parser(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
