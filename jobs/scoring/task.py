"""The unit of a scoring job: one split into one file, as a pure function."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.answer import Answers, Source
from engine.answer_columns import answer_arrays, answer_schema
from engine.encoded import Encoded
from engine.errors import AlreadyExists, BadArtifact, InvalidInput, NotFound, Unavailable
from engine.numeric_class import check_worker
from engine.storage import Storage, open_storage
from jobs.digested import DigestedWriter, digest_rest
from jobs.scoring.bad_rows import BadRowLimit
from jobs.scoring.chunk import Chunk
from jobs.scoring.dataset import Dataset, partition_values
from jobs.scoring.format import FormatOptions, Wanted, open_format
from jobs.scoring.kept import kept_column
from jobs.scoring.quarantine import FOLDER, Quarantine
from jobs.scoring.row_groups import RowGroups
from jobs.scoring.sealed_file import SealedWriter
from jobs.scoring.split import Section, Split
from jobs.scoring.split_done import Counts, FileDone, SplitDone, read_done
from jobs.scoring.timed_calls import TimedCalls, TimedOut
from jobs.scoring.worker import load_predictor, worker_predictor

# Stuck calls that a split may leave behind, each with a spinning core, before the model is said to hang.
_STUCK_CALLS = 3


@dataclass(frozen=True, kw_only=True)
class ScoreSpec:
    """What all splits of a job share.

    Attributes:
        registry: its URL.
        model: the model's name.
        release: the release's number.
        numeric_class: that every worker must have.
        input: URL of the data set.
        format: of its files.
        options: of the format.
        output: URL of the directory that files are written to.
        kept: columns of the input that go into the output, in order.
        prefix: before the names of the columns that are added.
        redact: columns whose values must not be in the quarantine.
        batch_timeout_s: how long the model may take for a chunk of rows.
        max_bad_rows: when a split alone has more, it ends the job; None is no limit.
        shared: where workers of a host share the table; see ``jobs.scoring.worker``.
    """

    registry: str
    model: str
    release: int
    numeric_class: str
    input: str
    format: str
    options: FormatOptions
    output: str
    kept: pa.Schema
    prefix: str
    redact: tuple[str, ...]
    batch_timeout_s: float
    max_bad_rows: BadRowLimit | None
    shared: str | None


@dataclass(frozen=True)
class ScoreTask:
    """Scores splits. A split's file is there when it is done, and says in its metadata what came of it.

    The order of what it writes:

    1. The quarantine's file, whose name is a digest of its content: a twin that quarantined other rows (a call timed
       out here and not there) writes another file, and neither harms the other.
    2. The split's file, which names the quarantine's. Of twins, one creates it, and that one's quarantine counts.
    """

    spec: ScoreSpec

    def __call__(self, split: Split, /) -> SplitDone:
        """Score a split, or find that it was.

        Raises:
            BadArtifact: an input file or the table is damaged, or the model hangs.
            BadSettings: this CPU is of another numeric class, or may not write here.
            Refused: there are more bad rows than were allowed.
            Unavailable: the input was changed since the job was planned, or the storage failed.
        """
        storage = open_storage(self.spec.output)
        if storage.exists(split.path):
            return read_done(storage, split.path)
        work = _Work(self.spec, split, storage)
        try:
            return storage.create_with(split.path, work.write)
        except AlreadyExists:
            return read_done(storage, split.path)
        except NotFound as error:  # an equal run that was ahead removed what was half written, or has shown the output
            message = f"{error}, though it was being written: an equal run is at work. Try again"
            raise Unavailable(message) from error


class _Work:
    """One try at a split."""

    def __init__(self, spec: ScoreSpec, split: Split, storage: Storage) -> None:
        self._spec, self._split, self._storage = spec, split, storage
        self._dataset = Dataset(spec.input)
        self._predictor = worker_predictor(spec.registry, spec.model, spec.release, spec.shared)
        check_worker(self._predictor.numeric_class, spec.numeric_class, of="a job")
        self._schema = pa.schema([*spec.kept, *answer_schema(self._predictor.schema, spec.prefix)])
        self._reader = open_format(spec.format, spec.options)
        space = self._predictor.space
        self._wanted = Wanted(
            columns=tuple(dict.fromkeys([*space.names, *spec.kept.names])),
            texts=tuple(feature.name for feature in space.index_features),
            partition=partition_values(split.partition),
        )
        self._stuck = 0
        self._rows = 0
        self._sources: Counter[str] = Counter()

    def write(self, file: BinaryIO) -> SplitDone:
        """Write the quarantine's file, and then the split's into ``file``."""
        digested = DigestedWriter(file)
        sealed = SealedWriter(digested)
        quarantine = Quarantine(self._spec.redact)
        calls = TimedCalls(self._spec.batch_timeout_s)
        try:
            with open_writer(sealed, self._schema) as writer:
                groups = RowGroups(writer)
                for section in self._split.sections:
                    with self._dataset.unchanged(section.file):
                        for chunk in self._chunks(section):
                            groups.write(self._score(section, chunk, calls, quarantine))
                groups.finish()
                self._check_table()
                counts = Counts(
                    rows=self._rows,
                    quarantine=self._keep(quarantine),
                    sources=dict(self._sources),
                    causes=dict(quarantine.causes),
                    examples=quarantine.examples,
                )
                writer.add_key_value_metadata({**counts.to_metadata(), **sealed.begin_footer()})
            sealed.finish()
        finally:
            calls.close()
            quarantine.close()
        return counts.done(self._split.path, digested.digest, computed=True)

    def _chunks(self, section: Section) -> Iterator[Chunk]:
        path = self._dataset.full_path(section.file.path)
        return self._reader.read(self._dataset.storage, path, section.start, section.stop, self._wanted)

    def _score(self, section: Section, chunk: Chunk, calls: TimedCalls, quarantine: Quarantine) -> pa.RecordBatch:
        """Return the rows that have an answer; the others go to the quarantine."""
        arrays, faults = [], {}
        for column in self._spec.kept:
            array, column_faults = kept_column(chunk, column)
            arrays.append(array)
            faults.update(column_faults)
        encoded = chunk.encode(self._predictor.space)
        answers = self._answer(Encoded(encoded.inputs, {**faults, **encoded.faults}), calls)
        arrays += answer_arrays(answers, self._predictor.schema, self._spec.release)
        batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        if answers.faults:
            quarantine.add(section.file.path, chunk, answers.faults)
            if self._spec.max_bad_rows:
                self._spec.max_bad_rows.check(quarantine.rows, None, quarantine.causes, quarantine.examples)
            batch = batch.filter(pa.array(answers.source != Source.NONE))
        self._rows += batch.num_rows
        self._sources.update({source.text: rows for source, rows in answers.rows_by_source().items()})
        return batch

    def _answer(self, encoded: Encoded, calls: TimedCalls) -> Answers:
        predictor = self._predictor
        try:
            return calls.run(lambda: predictor.answer(encoded))
        except TimedOut:
            self._stuck += 1
            worker_predictor.cache_clear()  # the stuck call holds its interpreter
        spec = self._spec
        if self._stuck > _STUCK_CALLS:
            message = (
                f"model {spec.model}: must answer {len(encoded)} rows within {spec.batch_timeout_s:g} s; "
                f"{self._stuck} calls did not. Give it longer (--batch-timeout-s), or mend it"
            )
            raise BadArtifact(message)
        self._check_table()  # of this predictor: the next has seen nothing of it
        self._predictor = load_predictor(spec.registry, spec.model, spec.release, spec.shared)
        late = InvalidInput(f"the model must answer within {spec.batch_timeout_s:g} s; it did not", cause="timeout")
        rows, width = len(encoded), predictor.schema.width
        faults = {row: encoded.faults.get(row, late) for row in range(rows)}
        return Answers(np.full((rows, width), np.nan, np.float32), np.zeros(rows, np.uint8), faults)

    def _keep(self, quarantine: Quarantine) -> FileDone | None:
        """Write the quarantine's file, or find that a twin has."""
        if not quarantine.rows:
            return None
        file = quarantine.finish()
        digest = digest_rest(file)
        path = f"{FOLDER}/part-{self._split.key}-{digest.sha256[:8]}.parquet"
        file.seek(0)
        with suppress(AlreadyExists):  # its name is its content
            self._storage.create_with(path, lambda target: shutil.copyfileobj(file, target, 1 << 20))
        return FileDone(path=path, rows=quarantine.rows, **digest._asdict())

    def _check_table(self) -> None:
        """Refuse answers of the model where the table's own have rotted: another run's bytes would differ."""
        table = self._predictor.table
        if table is not None and table.corrupt_blocks:
            worker_predictor.cache_clear()
            message = (
                f"table {table.spec.key}: {table.corrupt_blocks} blocks of this host's copy were corrupted. Try again"
            )
            raise Unavailable(message)


def open_writer(file: BinaryIO | DigestedWriter | SealedWriter, schema: pa.Schema) -> pq.ParquetWriter:
    """Open a writer of scored rows.

    Dictionaries serve texts. Numbers are answers and ids for the most part, nearly all distinct: a dictionary of them
    doubles the time of writing and the size; zstd finds what repeats.
    """
    numeric = (pa.types.is_integer, pa.types.is_floating, pa.types.is_temporal, pa.types.is_boolean)
    texts = [column.name for column in schema if not any(test(column.type) for test in numeric)]
    return pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=texts)
