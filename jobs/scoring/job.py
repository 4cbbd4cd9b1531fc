"""A scoring job: plan the splits, have a runner score what is missing, check, and show the output."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from engine.errors import BadArtifact, EngineBug, NotFound
from engine.manifest import new_manifest, now_text, time_text
from engine.registry import Registry
from engine.storage import open_storage
from jobs.lease import Lease
from jobs.progress import progress_bar
from jobs.runner import Runner
from jobs.scoring.dataset import split_url
from jobs.scoring.output import KIND, VERSION, check_name, hidden_name
from jobs.scoring.plan import Plan, make_plan
from jobs.scoring.quarantine import FOLDER
from jobs.scoring.settings import ScoreSettings
from jobs.scoring.split_done import FileDone, SplitDone
from jobs.scoring.task import ScoreTask

_DAY_S = 24 * 60 * 60


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
        plan = make_plan(registry, settings)
        manifest = plan.output.manifest()
        if manifest is not None:
            plan.output.remove_unfinished()  # of a run that was killed after it had shown the output
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
    return Lease(open_storage(parent), f"{hidden_name(name)}.lock")


def _run(
    plan: Plan, settings: ScoreSettings, open_runner: Callable[[], Runner], shared: str
) -> tuple[list[SplitDone], str]:
    """Have every split scored, or found; one that was there before is only read again by its worker."""
    if not plan.splits:
        return [], "none: there are no rows"
    runner = open_runner()
    # Another host's processes cannot share this one's directory; on a cluster they have the job's.
    spec = replace(plan.spec, shared=shared if runner.name == "local" else None)
    title = f"score {settings.model} ({runner.name})"
    with progress_bar(len(plan.splits), "splits", title, quiet=settings.quiet) as bar:
        ranges = plan.file_ranges()
        done = runner.run(ScoreTask(spec), plan.splits, bar.update, ranges=lambda split: ranges[split.key])
    return sorted(done, key=lambda split: split.file.path), runner.name


def _manifest(plan: Plan, settings: ScoreSettings, done: list[SplitDone]) -> dict[str, Any]:
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
        in_order = [by_path[split.path] for split in plan.splits]
        examples = {cause: text for counts in reversed(in_order) for cause, text in counts.examples.items()}
        settings.max_bad_rows.check(read - scored, read, causes, examples)
    days = settings.quarantine_days
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
        quarantine_expires=None if days is None else time_text(time.time() + days * _DAY_S),
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


def _outcome(plan: Plan, manifest: dict[str, Any], *, computed: int, seconds: float, runner: str) -> Scored:
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
