"""The plan of a scoring job: all that is decided before the first row is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from engine.answer_columns import answer_schema
from engine.bundle import Bundle
from engine.errors import BadSettings, NotFound, Unavailable
from engine.manifest import canonical_json, sha256
from engine.registry import Registry
from engine.release import Release
from jobs.runner import FileRange
from jobs.scoring.dataset import Dataset, InputFile, partition_values
from jobs.scoring.format import Shape, guess_format, open_format
from jobs.scoring.kept import kept_schema
from jobs.scoring.output import VERSION, Output
from jobs.scoring.settings import ScoreSettings
from jobs.scoring.split import Split, plan_splits
from jobs.scoring.task import ScoreSpec

# Footers that the driver reads at once: they are small, and a name node or an object store answers many.
_FOOTERS_AT_ONCE = 16


@dataclass(frozen=True)
class Plan:
    """What is read, how it is cut, who answers, and where the answers go.

    Attributes:
        release: that answers.
        fingerprint: all that decides the bytes of an output but the input, as the manifest shows it.
        dataset: the input.
        splits: of it.
        spec: what their tasks share.
        output: where they write.
        run: a digest of all splits: equal runs have the same.
    """

    release: Release
    fingerprint: dict[str, Any]
    dataset: Dataset
    splits: list[Split]
    spec: ScoreSpec
    output: Output
    run: str

    def file_ranges(self) -> dict[str, list[FileRange]]:
        """Return about what each split reads, by its key.

        The pieces of a file lie in it one after the other, but may be smaller there than they are as read.
        """
        as_read: Counter[str] = Counter()
        for split in self.splits:
            for section in split.sections:
                as_read[section.file.path] += section.size_bytes
        ends: Counter[str] = Counter()
        ranges: dict[str, list[FileRange]] = {}
        for split in self.splits:
            reads = ranges.setdefault(split.key, [])
            for section in split.sections:
                file = section.file
                start = ends[file.path]
                ends[file.path] += section.size_bytes
                first, stop = (at * file.size_bytes // max(as_read[file.path], 1) for at in (start, ends[file.path]))
                url = f"{self.dataset.storage.url}/{self.dataset.full_path(file.path)}"
                reads.append(FileRange(url, first, stop - first))
        return ranges


def make_plan(registry: Registry, settings: ScoreSettings) -> Plan:
    """List the input, cut it, and settle what answers and what is kept.

    Raises:
        NotFound: there is no such model, release or input.
        BadSettings: a setting is wrong, or something may not be read.
        BadArtifact: a file of the input or the registry is damaged.
        Unavailable: the input is not there, and may come.
    """
    models = registry.existing_model(settings.model)
    release = models.release(settings.release or models.head(settings.label).release)
    bundle = models.bundle(release.bundle)
    dataset = Dataset(settings.input)
    files = _files(dataset, settings)
    kind = settings.format or guess_format(file.path or dataset.url for file in files)
    shapes = _shapes(dataset, files, kind, settings)
    schemas = [shape.schema for _, shape in shapes]
    in_path = {name for file in files for name in partition_values(file.partition)}
    _check_features(bundle, in_path, schemas)
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
    return Plan(release, fingerprint, dataset, splits, spec, output, run)


def _shapes(
    dataset: Dataset, files: list[InputFile], kind: str, settings: ScoreSettings
) -> list[tuple[InputFile, Shape]]:
    reader = open_format(kind, settings.options)

    def shape(file: InputFile) -> Shape:
        return reader.shape(dataset.storage, dataset.full_path(file.path), settings.size.size_bytes)

    with ThreadPoolExecutor(_FOOTERS_AT_ONCE) as pool:
        return list(zip(files, pool.map(shape, files), strict=True))


def _files(dataset: Dataset, settings: ScoreSettings) -> list[InputFile]:
    try:
        return dataset.files()
    except NotFound as error:
        if settings.input_may_come:
            raise Unavailable(str(error)) from error
        raise


def _check_features(bundle: Bundle, in_path: set[str], schemas: Iterable[pa.Schema | None]) -> None:
    """Refuse an input none of whose files has a feature: not its rows are bad, but what was said of them.

    Raises:
        BadSettings: it is one.
    """
    known = _columns(in_path, schemas)
    wanted = bundle.space.names
    if known is not None and not known.intersection(wanted):
        shown = ", ".join(sorted(known)[:12])
        message = (
            f"the input must have the model's features, {', '.join(wanted)}; got the columns {shown}. "
            "Is it the right input, are names written alike, and is --delimiter that of a CSV file?"
        )
        raise BadSettings(message)


def _columns(in_path: set[str], schemas: Iterable[pa.Schema | None]) -> set[str] | None:
    """Return every column of the input; None where each row has its own."""
    known = set(in_path)
    for schema in schemas:
        if schema is None:
            return None
        known.update(schema.names)
    return known


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
    known = _columns(in_path, schemas)
    if known is None:
        return
    unknown = [name for name in settings.redact if name not in known]
    if unknown:
        message = f"a redacted column must be one of {', '.join(sorted(known))}; got {', '.join(unknown)}"
        raise BadSettings(message)
