"""Precompute: all answers of a finite feature space into a lookup table.

``foretable precompute``, ``python -m jobs.precompute`` and ``spark-submit jobs/precompute.py`` are this program. Shards
are computed by the tasks of a runner; the manifest is written last, so a killed run leaves nothing that a reader can
see, and a second run computes only the shards that are missing.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from engine.bundle import Bundle
from engine.codec import codec_named
from engine.errors import AlreadyExists, BadArtifact
from engine.manifest import new_manifest, now_text, seal
from engine.registry import ModelRegistry, Registry
from engine.table import KIND, VERSION, TableSpec, read_table_manifest, whole_blocks
from jobs.outcome import recorded
from jobs.program import Parser, Result, add_choice_of_answers, add_common, positive, run
from jobs.progress import progress_bar
from jobs.runner import Runner
from jobs.runner_options import add_runner, runner_of
from jobs.shard_task import ShardDone, ShardTask, check_shard
from jobs.variant_choice import VariantChoice, choose

# A table is cut into about so many shards, within the bounds below: enough to keep a cluster busy and to lose little
# when a worker dies; few enough that opening files is no cost.
_SHARDS = 32
_SMALLEST_SHARD_ROWS, _LARGEST_SHARD_ROWS = 1 << 18, 1 << 24


@dataclass(frozen=True, kw_only=True)
class PrecomputeSettings:
    """What to precompute.

    Attributes:
        model: the model's name.
        bundle: the bundle's id, or a beginning of it; None is the newest.
        variant: which of its LiteRT models.
        codec: the output codec's name.
        shard_rows: rows a shard, rounded up to whole blocks; None fits it to the space.
        override: take the variant although it is slower or errs by more than allowed, for this reason.
        quiet: no progress bar.
    """

    model: str
    bundle: str | None = None
    variant: str = "float32"
    codec: str = "float32"
    shard_rows: int | None = None
    override: str | None = None
    quiet: bool = False


@dataclass(frozen=True, kw_only=True)
class Precomputed:
    """What a run did.

    Attributes:
        table: the table's key.
        bundle: its bundle's id.
        rows: in the table.
        size_bytes: of its shards.
        computed_rows: by this run; the others were there.
        seconds: that the shards took.
        runner: which one ran them.
        choice: what was measured of a variant other than float32; None where nothing was.
    """

    table: str
    bundle: str
    rows: int
    size_bytes: int
    computed_rows: int
    seconds: float
    runner: str
    choice: VariantChoice | None = None


def precompute(registry: Registry, settings: PrecomputeSettings, open_runner: Callable[[], Runner]) -> Precomputed:
    """Compute what is missing of a table and write its manifest.

    Args:
        registry: where the bundle is and the table goes.
        settings: what to precompute.
        open_runner: called only when there is something to compute: starting Spark takes seconds.

    Raises:
        BadSettings: the space is not finite, the workers are of mixed numeric classes, or an override has no reason.
        Refused: the variant is no faster than float32 on this host, or errs by more than the definition allows.
        BadArtifact: a stored file is damaged.
        Unavailable: a worker died or the storage failed; run it again.
    """
    models = registry.model(settings.model)
    bundle = models.bundle(settings.bundle) if settings.bundle else models.newest_bundle()
    spec = table_spec(bundle, settings)
    folder = models.table_path(spec.key)
    if models.storage.exists(f"{folder}/manifest.json"):
        sizes = read_table_manifest(models.storage, folder)["files"].values()
        return _outcome(spec, sum(entry["size_bytes"] for entry in sizes), 0, 0.0, "none: it was there")
    choice = choose(bundle, settings.variant, override=settings.override)
    present = _present(models, spec)
    missing = sorted(set(range(spec.shards)) - present.keys())
    runner = open_runner()
    started = time.monotonic()
    with progress_bar(spec.rows, "rows", f"precompute {spec.model} ({runner.name})", quiet=settings.quiet) as bar:
        bar.update(sum(spec.layout(number).rows for number in present))
        results = runner.run(
            ShardTask(registry.url, spec), missing, lambda shards: bar.update(_rows_of(spec, shards, bar.n))
        )
    seconds = time.monotonic() - started
    shards = present | {done.number: done for done in results}
    _finish(models, spec, shards, choice)
    computed = sum(spec.layout(number).rows for number in missing)
    outcome = _outcome(spec, sum(done.size_bytes for done in shards.values()), computed, seconds, runner.name)
    return replace(outcome, choice=choice)


def table_spec(bundle: Bundle, settings: PrecomputeSettings) -> TableSpec:
    """Return the table that a bundle and settings make on this kind of CPU."""
    codec = codec_named(settings.codec, bundle.schema)
    rows = bundle.space.size
    wanted = settings.shard_rows or min(max(rows // _SHARDS, _SMALLEST_SHARD_ROWS), _LARGEST_SHARD_ROWS)
    return TableSpec(
        model=bundle.model,
        bundle=bundle.identity,
        variant=settings.variant,
        codec=codec.to_json(),
        numeric_class=bundle.check_numeric_class(bundle.runtime()),
        rows=rows,
        width=bundle.schema.width,
        shard_rows=whole_blocks(wanted, bundle.schema.width * codec.dtype.itemsize),
    )


def _present(models: ModelRegistry, spec: TableSpec) -> dict[int, ShardDone]:
    """Return the shards that an earlier run finished; raise ``BadArtifact`` where one is damaged."""
    folder = models.table_path(spec.key)
    names = set(models.storage.names(folder))
    return {
        number: check_shard(models.storage, f"{folder}/{spec.shard_name(number)}", number, spec.layout(number))
        for number in range(spec.shards)
        if spec.shard_name(number) in names
    }


def _finish(models: ModelRegistry, spec: TableSpec, shards: dict[int, ShardDone], choice: VariantChoice | None) -> None:
    """See that every shard is there, whole, and write the manifest."""
    folder = models.table_path(spec.key)
    for number in range(spec.shards):
        path = f"{folder}/{spec.shard_name(number)}"
        wanted, found = spec.layout(number).size_bytes, models.storage.size(path)
        if found != wanted or shards[number].size_bytes != wanted:
            message = f"{path}: must be {wanted} bytes long; got {found}. Remove the file and run again"
            raise BadArtifact(message)
    files = {
        spec.shard_name(number): {"size_bytes": done.size_bytes, "sha256": done.sha256}
        for number, done in sorted(shards.items())
    }
    measured = {"choice": choice.to_json()} if choice else {}
    manifest = new_manifest(KIND, VERSION, key=spec.key, spec=asdict(spec), files=files, time=now_text(), **measured)
    try:
        models.storage.create(f"{folder}/manifest.json", seal(manifest))
    except AlreadyExists:  # another run of the same table was first, with the same bytes
        return


def _rows_of(spec: TableSpec, shards: int, done: float) -> int:
    return min(shards * spec.shard_rows, spec.rows - int(done))


def _outcome(spec: TableSpec, size_bytes: int, computed: int, seconds: float, runner: str) -> Precomputed:
    return Precomputed(
        table=spec.key,
        bundle=spec.bundle,
        rows=spec.rows,
        size_bytes=size_bytes,
        computed_rows=computed,
        seconds=seconds,
        runner=runner,
    )


def parser() -> Parser:
    """Return the program's options."""
    options = Parser(prog="foretable precompute", description=__doc__)
    options.add_argument("model", help="the model's name in the registry")
    add_choice_of_answers(options)
    add_runner(options)
    options.add_argument("--shard-rows", type=positive, metavar="N", help="rows a shard; default: fitted to the space")
    options.add_argument(
        "--override", metavar="REASON", help="take a variant that is slower or errs by more than allowed; record why"
    )
    add_common(options)
    return options


def work(arguments: argparse.Namespace) -> Result:
    """Precompute as the arguments say."""
    settings = PrecomputeSettings(
        model=arguments.model,
        bundle=arguments.bundle,
        variant=arguments.variant,
        codec=arguments.codec,
        shard_rows=arguments.shard_rows,
        override=arguments.override,
        quiet=arguments.json,
    )
    done = precompute(
        Registry(arguments.registry),
        settings,
        runner_of(arguments),
    )
    return Result(summary(done), **asdict(done))


def summary(done: Precomputed) -> str:
    """Return what a run did, as people read it."""
    size = f"{done.rows:,} rows, {done.size_bytes / 1e6:,.1f} MB"
    if not done.computed_rows:
        return f"table {done.table} of bundle {done.bundle}: {size}; it was there"
    rate = done.computed_rows / max(done.seconds, 1e-9) / 1e6
    choice = f"\n{done.choice}" if done.choice else ""
    return (
        f"table {done.table} of bundle {done.bundle}: {size}; {done.computed_rows:,} rows computed "
        f"in {done.seconds:.1f} s ({rate:.2f} M rows/s, {done.runner} runner){choice}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return run(parser(), recorded("foretable precompute", work, _outcomes), argv)


def _outcomes(arguments: argparse.Namespace) -> str:
    return f"{Registry(arguments.registry).url}/{arguments.model}/outcomes"


if __name__ == "__main__":
    sys.exit(main())
