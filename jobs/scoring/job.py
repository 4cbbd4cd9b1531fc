"""A scoring job: plan the splits, have a runner score what is missing, check, and show the output."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from engine.bundle import Bundle
from engine.errors import BadArtifact, BadSettings, EngineBug, NotFound
from engine.manifest import canonical_json, new_manifest, now_text, sha256
from engine.registry import Registry
from engine.release import Release
from engine.storage import open_storage
from jobs.lease import Lease
from jobs.progress import progress_bar
from jobs.runner import FileRange, Runner
from jobs.scoring.answer_columns import answer_schema
from jobs.scoring.bad_rows import BadRowLimit
from jobs.scoring.dataset import Dataset, InputFile, partition_values, split_url
from jobs.scoring.format import FormatOptions, Shape, guess_format, open_format
from jobs.scoring.kept import kept_schema
from jobs.scoring.output import KIND, VERSION, Output, check_name
from jobs.scoring.quarantine import FOLDER
from jobs.scoring.split import Split, SplitSize, plan_splits
from jobs.scoring.split_done import FileDone, SplitDone
from jobs.scoring.task import ScoreSpec, ScoreTask

# Footers that the driver reads at once: they are small, and a name node or an object store answers many.
_FOOTERS_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True)
class ScoreSettings:
    """What to score.

    Attributes:
        model: the model's name.
        input: URL of a directory or a file.
        output: URL of the directory that the scored rows go to.
        label: whose release answers; it is looked up once.
        release: which release answers, instead of a label's.
        format: of the input; None is what its names tell.
        options: of the format.
        keep: columns that go into the output, ``NAME`` or ``NAME:TYPE``; None is all.
        prefix: before the names of the columns that are added.
        redact: columns whose values must not be in the quarantine.
        max_bad_rows: more end the job; None is no limit.
        batch_timeout_s: how long the model may take for a chunk of rows.
        quarantine_days: after so many the quarantine may be purged; None is never.
        size: of splits.
        lock: only one run at a time may work on the output.
        quiet: no progress bar.
    """

    model: str
    input: str
    output: str
    label: str = "production"
    release: int | None = None
    format: str | None = None
    options: FormatOptions = field(default_factory=FormatOptions)
    keep: tuple[str, ...] | None = None
    prefix: str = ""
    redact: tuple[str, ...] = ()
    max_bad_rows: BadRowLimit | None = None
    batch_timeout_s: float = 600.0
    quarantine_days: int | None = None
    size: SplitSize = field(default_factory=SplitSize)
    lock: bool = False
    quiet: bool = False


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What a run did.

    Attributes:
        output: URL of the scored rows.
        quarantine: URL of the others, or None where there is none.
        release: the number of the release that answered.
        rows: read.
        scored: of them.
        quarantined: the others.
        causes: quarantined rows by cause.
        splits: in all.
        computed: splits that this run scored; the others were there.
        size_bytes: of the output, its quarantine included.
        seconds: that the splits took.
        runner: which one ran them.
    """

    output: str
    quarantine: str | None
    release: int
    rows: int
    scored: int
    quarantined: int
    causes: dict[str, int]
    splits: int
    computed: int
    size_bytes: int
    seconds: float
    runner: str


@dataclass(frozen=True)
class _Plan:
    """All that is decided before the first row is read."""

    release: Release
    fingerprint: dict[str, Any]
    dataset: Dataset
    splits: list[Split]
    spec: ScoreSpec
    output: Output
    run: str


def score(registry: Registry, settings: ScoreSettings, open_runner: Callable[[], Runner]) -> Scored:
    """Score a data set.

    Args:
        registry: where the release is.
        settings: what to score.
        open_runner: called only when there is something to score: starting Spark takes seconds.

    Raises:
        NotFound: there is no such model, release or input.
        BadSettings: a setting is wrong, or something may not be read or written.
        BadArtifact: a file of the input or the registry is damaged.
        Refused: there are too many bad rows, or another run's output is there.
        Unavailable: a worker died, the input was changed meanwhile or the storage failed; run it again.
    """
    check_name(settings.output)
    with ExitStack() as stack:
        lease = stack.enter_context(_lease(settings.output)) if settings.lock else None
        shared = stack.enter_context(tempfile.TemporaryDirectory(prefix="foretable-score-"))
        plan = _plan(registry, settings)
        manifest = plan.output.manifest()
        if manifest is not None:
            return _outcome(plan, manifest, computed=0, seconds=0.0, runner="none: it was there")
        plan.output.check_empty({split.path for split in plan.splits})
        started = time.monotonic()
        try:
            done, runner = _run(plan, settings, open_runner, shared)
            seconds = time.monotonic() - started
            manifest = _manifest(plan, settings, done)
            plan.output.check_files(_files(done))
            if lease:
                lease.check()
            plan.output.show(manifest)
        except (BadArtifact, NotFound):  # the files are gone where an equal run has shown them meanwhile
            manifest = plan.output.manifest()
            if manifest is None:
                raise
            plan.output.remove_unfinished()
            return _outcome(plan, manifest, computed=0, seconds=0.0, runner="none: an equal run was first")
        return _outcome(plan, manifest, computed=sum(split.computed for split in done), seconds=seconds, runner=runner)


def _lease(output: str) -> Lease:
    parent, name = split_url(output)
    return Lease(open_storage(parent), f"_{name}.lock")


def _plan(registry: Registry, settings: ScoreSettings) -> _Plan:
    models = registry.existing_model(settings.model)
    release = models.release(settings.release or models.head(settings.label).release)
    bundle = models.bundle(release.bundle)
    dataset = Dataset(settings.input)
    files = dataset.files()
    kind = settings.format or guess_format(file.path or dataset.url for file in files)
    shapes = _shapes(dataset, files, kind, settings)
    schemas = [shape.schema for _, shape in shapes]
    in_path = {name for file in files for name in partition_values(file.partition)}
    kept = _kept(settings, bundle, in_path, schemas)
    _check_redact(settings, in_path, schemas)
    fingerprint = {
        "version": VERSION,
        "release": {name: value for name, value in asdict(release).items() if name not in {"gate", "time"}},
        "numeric_class": bundle.check_numeric_class(bundle.runtime()),
        "pyarrow": pa.__version__,  # writes the bytes
        "format": kind,
        "options": asdict(settings.options),
        "kept": [[column.name, str(column.type)] for column in kept],
        "prefix": settings.prefix,
        "redact": sorted(settings.redact),
    }
    splits = plan_splits(shapes, settings.size, fingerprint)
    run = sha256(canonical_json([fingerprint, [split.key for split in splits]]))[:16]
    output = Output(settings.output, run)
    if f"{output.url}/".startswith(f"{dataset.url}/"):
        message = f"output {output.url} must not be within the input, {dataset.url}: the next run would read it"
        raise BadSettings(message)
    spec = ScoreSpec(
        registry=registry.url,
        model=settings.model,
        release=release.number,
        numeric_class=fingerprint["numeric_class"],
        input=dataset.url,
        format=kind,
        options=settings.options,
        output=output.staging_url,
        kept=kept,
        prefix=settings.prefix,
        redact=settings.redact,
        batch_timeout_s=settings.batch_timeout_s,
        max_bad_rows=settings.max_bad_rows,
        shared=None,
    )
    return _Plan(release, fingerprint, dataset, splits, spec, output, run)


def _shapes(
    dataset: Dataset, files: list[InputFile], kind: str, settings: ScoreSettings
) -> list[tuple[InputFile, Shape]]:
    reader = open_format(kind, settings.options)

    def shape(file: InputFile) -> Shape:
        return reader.shape(dataset.storage, dataset.full_path(file.path), settings.size.size_bytes)

    with ThreadPoolExecutor(_FOOTERS_AT_ONCE) as pool:
        return list(zip(files, pool.map(shape, files), strict=True))


def _kept(settings: ScoreSettings, bundle: Bundle, in_path: set[str], schemas: Iterable[pa.Schema | None]) -> pa.Schema:
    """Return the kept columns; those of the partitions' directories stay where they are.

    Raises:
        BadSettings: one has the name of a column that is added.
    """
    kept = kept_schema(settings.keep, schemas, in_path)
    added = answer_schema(bundle.schema, settings.prefix).names
    twice = sorted({*kept.names, *in_path} & set(added))
    if twice:
        message = f"added columns must have other names than the input's; both have {', '.join(twice)}. Give a --prefix"
        raise BadSettings(message)
    return kept


def _check_redact(settings: ScoreSettings, in_path: set[str], schemas: Iterable[pa.Schema | None]) -> None:
    """Refuse a redacted column that no file has: a slip of the pen would show what must be hidden.

    Raises:
        BadSettings: there is one.
    """
    known = set(in_path)
    for schema in schemas:
        if schema is None:  # each row has its own
            return
        known.update(schema.names)
    unknown = [name for name in settings.redact if name not in known]
    if unknown:
        message = f"a redacted column must be one of {', '.join(sorted(known))}; got {', '.join(unknown)}"
        raise BadSettings(message)


def _run(
    plan: _Plan, settings: ScoreSettings, open_runner: Callable[[], Runner], shared: str
) -> tuple[list[SplitDone], str]:
    """Have every split scored, or found; one that was there before is only read again by its worker."""
    if not plan.splits:
        return [], "none: there are no rows"
    runner = open_runner()
    # Another host's processes cannot share this one's directory; on a cluster they have the job's.
    spec = replace(plan.spec, shared=shared if runner.name == "local" else None)
    title = f"score {settings.model} ({runner.name})"
    with progress_bar(len(plan.splits), "splits", title, quiet=settings.quiet) as bar:
        ranges = _file_ranges(plan)
        done = runner.run(ScoreTask(spec), plan.splits, bar.update, ranges=lambda split: ranges[split.key])
    return sorted(done, key=lambda split: split.file.path), runner.name


def _file_ranges(plan: _Plan) -> dict[str, list[FileRange]]:
    """Return what each split reads, by its key: the pieces of a file lie in it one after the other."""
    ends: Counter[str] = Counter()
    ranges: dict[str, list[FileRange]] = {}
    for split in plan.splits:
        reads = ranges.setdefault(split.key, [])
        for section in split.sections:
            url = f"{plan.dataset.storage.url}/{plan.dataset.full_path(section.file.path)}"
            reads.append(FileRange(url, ends[url], section.size_bytes))
            ends[url] += section.size_bytes
    return ranges


def _manifest(plan: _Plan, settings: ScoreSettings, done: list[SplitDone]) -> dict[str, Any]:
    """Count, hold the counts against the input and the limit, and return the manifest."""
    by_path = {split.file.path: split.counts for split in done}
    read = 0
    for split in plan.splits:
        counts = by_path[split.path]
        rows = counts.rows + (counts.quarantine.rows if counts.quarantine else 0)
        if split.rows is not None and rows != split.rows:
            message = f"split {split.path} must have as many rows as its input, {split.rows}; got {rows}"
            raise EngineBug(message)
        read += rows
    scored = sum(counts.rows for counts in by_path.values())
    causes = _sum(counts.causes for counts in by_path.values())
    if settings.max_bad_rows:
        settings.max_bad_rows.check(read - scored, read, causes)
    now = datetime.now(UTC)
    expires = now + timedelta(days=settings.quarantine_days) if settings.quarantine_days is not None else None
    return new_manifest(
        KIND,
        VERSION,
        run=plan.run,
        model=settings.model,
        release=plan.fingerprint["release"],
        made_with={**plan.fingerprint, "release": plan.release.number},
        input={
            "url": plan.dataset.url,
            "files": len({section.file.path for split in plan.splits for section in split.sections}),
            "size_bytes": sum(split.size_bytes for split in plan.splits),
        },
        rows={"read": read, "scored": scored, "quarantined": read - scored},
        sources=_sum(counts.sources for counts in by_path.values()),
        causes=causes,
        quarantine_expires=expires.strftime("%Y-%m-%dT%H:%M:%SZ") if expires else None,
        files={
            file.path: {"size_bytes": file.size_bytes, "sha256": file.sha256, "rows": file.rows}
            for file in _files(done)
        },
        time=now_text(),
    )


def _files(done: Iterable[SplitDone]) -> list[FileDone]:
    files = [file for split in done for file in (split.file, split.counts.quarantine) if file]
    return sorted(files, key=lambda file: file.path)


def _sum(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items()))


def _outcome(plan: _Plan, manifest: dict[str, Any], *, computed: int, seconds: float, runner: str) -> Scored:
    rows = manifest["rows"]
    return Scored(
        output=plan.output.url,
        quarantine=f"{plan.output.url}/{FOLDER}" if rows["quarantined"] else None,
        release=plan.release.number,
        rows=rows["read"],
        scored=rows["scored"],
        quarantined=rows["quarantined"],
        causes=manifest["causes"],
        splits=len(plan.splits),
        computed=computed,
        size_bytes=sum(file["size_bytes"] for file in manifest["files"].values()),
        seconds=seconds,
        runner=runner,
    )
