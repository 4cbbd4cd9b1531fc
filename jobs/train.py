"""Train: fit a definition's model, checkpoint it every epoch, and export the best epoch as a bundle.

``foretable train`` and ``python -m jobs.train`` are this program. A killed run goes on from its last checkpoint with
--run ID --resume, and ends with the weights of a run that was never killed.
"""

from __future__ import annotations

import argparse
import re
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from engine.definition import Definition, Examples, TrainSettings, load_definition
from engine.errors import BadSettings, NotFound
from engine.manifest import canonical_json, sha256
from engine.registry import ModelRegistry, Registry
from jobs.bundle_contents import bundle_contents
from jobs.checkpoint import Identity
from jobs.export import check_signature
from jobs.program import Parser, Result, add_common, run
from jobs.progress import progress_bar
from jobs.train_data import LabelledRows, data_digest, labelled_rows
from jobs.train_loop import EpochDone, Run, Trainer

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """What to train.

    Attributes:
        definition: the path of a Python file that sets ``definition``.
        data: what its ``examples()`` reads; empty is its own data.
        run: the run's id; None is a new one, or with ``resume`` the newest.
        epochs: instead of the definition's.
        seed: instead of the definition's.
        resume: go on from the run's last checkpoint.
        quiet: no progress bar.
    """

    definition: str
    data: str = ""
    run: str | None = None
    epochs: int | None = None
    seed: int | None = None
    resume: bool = False
    quiet: bool = False


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a run did.

    Attributes:
        model: the model's name.
        run: the run's id.
        bundle: the exported bundle's id.
        epochs: done in all, those before a resume too.
        best_epoch: the one that was exported.
        metrics: on the holdout.
        dropped_rows: bad rows that were left out.
        seconds: of it all.
    """

    model: str
    run: str
    bundle: str
    epochs: int
    best_epoch: int
    metrics: dict[str, float]
    dropped_rows: int
    seconds: float


def train(registry: Registry, job: TrainJob, report: Callable[[str], object] = lambda _: None) -> Trained:
    """Train, export and write a bundle.

    Args:
        registry: where checkpoints and the bundle go.
        job: what to train.
        report: told a line after each epoch, of bad rows that were left out, and why a variant was.

    Raises:
        BadSettings: the definition, the run or what it would resume does not fit.
        InvalidInput: the data is bad.
        Refused: the model learned nothing finite, LiteRT cannot convert it, or it mixes rows.
        BadArtifact: a checkpoint is damaged.
        Unavailable: the storage failed; resume the run.
    """
    started = time.monotonic()
    definition = load_definition(job.definition)
    models = registry.model(definition.name)
    name = _run_name(models, job)
    settings = _settings(definition, job)
    examples = definition.examples(job.data)
    parts = _parts(definition, examples)
    for part, rows in parts.items():
        if rows.dropped:
            report(f"{part}: left out {rows.dropped:,} bad rows of {rows.dropped + len(rows):,}, e.g. {rows.fault}")
    this_run = Run(
        storage=models.storage,
        folder=models.run_path(name),
        identity=_identity(definition, settings, parts["train"]),
        definition=sha256(Path(job.definition).read_bytes()),
        settings=settings,
    )
    trainer = Trainer(_build(definition, settings.seed), definition.space, definition.schema, this_run)
    if job.resume:
        done = trainer.resume()
        report(f"run {name}: resumed after epoch {done}" if done else f"run {name}: no checkpoint yet; starts anew")
    rows_in_all = len(parts["train"]) * settings.epochs
    with progress_bar(rows_in_all, "rows", f"train {definition.name}", quiet=job.quiet) as bar:
        bar.update(len(parts["train"]) * len(trainer.history))
        trainer.fit(
            parts["train"], parts["validation"], advance=bar.update, report=lambda done: report(_epoch_line(done))
        )
    origin = {
        "run": name,
        "definition": {"file": Path(job.definition).name, "sha256": this_run.definition},
        "data": {"source": job.data, "rows": len(parts["train"]), "sha256": this_run.identity.data},
        "settings": asdict(settings),
        "history": trainer.history,
        "best_epoch": trainer.best_epoch,
        "versions": {package: version(package) for package in ("keras", "ai-edge-litert", "numpy")},
    }
    contents = bundle_contents(definition, trainer.model, parts["holdout"], origin, report)
    return Trained(
        model=definition.name,
        run=name,
        bundle=models.write_bundle(contents),
        epochs=len(trainer.history),
        best_epoch=trainer.best_epoch,
        metrics=dict(contents.metrics),
        dropped_rows=sum(rows.dropped for rows in parts.values()),
        seconds=time.monotonic() - started,
    )


def _build(definition: Definition, seed: int) -> Any:  # a keras.Model
    """Build the model from the seed, and hold it against the definition."""
    try:
        import keras
    except ImportError as error:
        message = "training needs TensorFlow and Keras, which are not installed: pip install 'foretable[train]'"
        raise BadSettings(message) from error
    keras.utils.clear_session()  # layers are numbered from the start again: a checkpoint knows variables by name
    keras.utils.set_random_seed(seed)
    model = definition.build()
    check_signature(model, definition.space, definition.schema)
    return model


def _identity(definition: Definition, settings: TrainSettings, rows: LabelledRows) -> Identity:
    return Identity(
        space=definition.space.fingerprint,
        outputs=sha256(canonical_json(definition.schema.to_json())),
        data=data_digest(rows),
        batch_rows=settings.batch_rows,
        seed=settings.seed,
    )


def _settings(definition: Definition, job: TrainJob) -> TrainSettings:
    changed = {name: value for name, value in (("epochs", job.epochs), ("seed", job.seed)) if value is not None}
    if job.epochs is not None and job.epochs < 1:
        message = f"epochs must be 1 or more; got {job.epochs}"
        raise BadSettings(message)
    return replace(definition.settings, **changed)


def _parts(definition: Definition, examples: Examples) -> dict[str, LabelledRows]:
    tables = {"train": examples.train, "holdout": examples.holdout, "validation": examples.validation}
    parts = {
        name: labelled_rows(table, definition.space, definition.schema, where=f"examples of {definition.name}: {name}")
        for name, table in tables.items()
        if table is not None
    }
    parts.setdefault("validation", parts["holdout"])
    return parts


def _run_name(models: ModelRegistry, job: TrainJob) -> str:
    """Return the run's id, after a look at what there is."""
    runs = models.storage.names(f"{models.name}/runs")
    if job.run is None:
        if not job.resume:
            return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(3)}"
        if not runs:
            message = f"model {models.name!r} in {models.storage.url} has no run to resume: train without --resume"
            raise NotFound(message)
        return runs[-1]
    if not _RUN.fullmatch(job.run):
        message = f"a run's id must be letters, digits, '.', '_' and '-'; got {job.run[:80]!r}"
        raise BadSettings(message)
    if job.run in runs and not job.resume:
        message = f"run {job.run!r} of model {models.name!r} exists: add --resume to go on, or choose another --run"
        raise BadSettings(message)
    return job.run


def _epoch_line(done: EpochDone) -> str:
    return (
        f"epoch {done.epoch}/{done.epochs}: loss {done.loss:.5f}, validation loss {done.validation_loss:.5f}"
        f"{' (best)' if done.best else ''}, {done.seconds:.1f} s"
    )


def parser() -> Parser:
    """Return the program's options."""
    options = Parser(prog="foretable train", description=__doc__)
    options.add_argument("definition", metavar="DEFINITION", help="a Python file that sets `definition`")
    options.add_argument("--data", default="", metavar="SOURCE", help="training data; default: the definition's own")
    options.add_argument("--run", metavar="ID", help="the run's id; default: the time, or with --resume the newest run")
    options.add_argument("--epochs", type=int, metavar="N", help="at most so many epochs; default: the definition's")
    options.add_argument("--seed", type=int, metavar="N", help="of weights and shuffles; default: the definition's")
    options.add_argument("--resume", action="store_true", help="go on from the run's last checkpoint")
    add_common(options)
    return options


def work(arguments: argparse.Namespace) -> Result:
    """Train as the arguments say."""
    job = TrainJob(
        definition=arguments.definition,
        data=arguments.data,
        run=arguments.run,
        epochs=arguments.epochs,
        seed=arguments.seed,
        resume=arguments.resume,
        quiet=arguments.json,
    )
    done = train(Registry(arguments.registry), job, lambda line: _say(line, quiet=arguments.json))
    return Result(summary(done), **asdict(done))


def summary(done: Trained) -> str:
    """Return what a run did, as people read it."""
    metrics = ", ".join(f"{name} {value:.4f}" for name, value in done.metrics.items())
    return (
        f"bundle {done.bundle} of model {done.model} (run {done.run}, epoch {done.best_epoch} of {done.epochs}): "
        f"{metrics}; {done.seconds:.1f} s"
    )


def _say(line: str, *, quiet: bool) -> None:
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr if quiet else sys.stdout)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return run(parser(), work, argv)


if __name__ == "__main__":
    sys.exit(main())
