"""The predictor: the one door to answers. Table first, model on a miss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.answer import Answer, Answers, Source
from engine.bundle import Bundle
from engine.codec import Codec, codec_from_json
from engine.distinct import distinct_rows
from engine.encoded import Encoded
from engine.errors import BadArtifact, EngineBug, InvalidInput
from engine.inputs import Inputs
from engine.registry import ModelRegistry, Registry
from engine.release import Release
from engine.runtime import Runtime
from engine.table import DenseTable


class Predictor:
    """One release, loaded. The same row gives the same bytes by every method, from table and model alike.

    Thread-safe. The model path waits for one of ``threads`` interpreters; the table path never waits.

    Attributes:
        release: what it answers from.
        bundle: its bundle.
        space: the features.
        schema: the outputs.
        table: the lookup table, or None.
        numeric_class: of this CPU.
        default: float32 of shape (1, width), what stands in for an answer that would be late; None where the outputs
            declare none.

    Where a method takes ``deadline``, that is an instant in ``time.time`` seconds after which nobody wants the answer;
    it raises ``DeadlineExceeded`` instead of waiting for the model past it. Answers of the table need no waiting.
    """

    def __init__(
        self,
        release: Release,
        bundle: Bundle,
        runtime: Runtime,
        table: DenseTable | None,
        *,
        numeric_class: str,
    ) -> None:
        """Join what ``load`` read."""
        self.release, self.bundle, self.table, self.numeric_class = release, bundle, table, numeric_class
        self.space, self.schema = bundle.space, bundle.schema
        self.codec: Codec = codec_from_json(release.codec)
        self._runtime, self._crew = runtime, runtime.crew
        declared = self.schema.default
        # After the codec, as every answer.
        self.default = (
            None if declared is None else self.codec.decode(self.codec.encode(np.array([declared], np.float32)))
        )

    @classmethod
    def open(
        cls, registry: str, model: str, *, label: str = "production", release: int | None = None, threads: int = 1
    ) -> Predictor:
        """Load what a label points to, or a release by its number.

        Raises:
            NotFound: there is no such model, label or release.
            BadArtifact: a file is damaged.
        """
        models = Registry(registry).existing_model(model)
        if release is None:
            release = models.head(label).release
        return cls.load(models, models.release(release), threads=threads)

    @classmethod
    def load(
        cls,
        models: ModelRegistry,
        release: Release,
        *,
        threads: int = 1,
        scratch: str | None = None,
        shared: str | None = None,
    ) -> Predictor:
        """Load a release: verify the bundle, check the golden answers, copy and map the table.

        Args:
            models: the model's part of the registry.
            release: what to load.
            threads: interpreters a shape, at most.
            scratch: where the private copy of the table goes; None is the system's temporary directory.
            shared: where all processes of the host have one copy instead; see ``DenseTable.open``.

        Raises:
            BadArtifact: a file is damaged, or table and bundle are not of one build.
        """
        bundle = models.bundle(release.bundle)
        if bundle.digest != release.bundle_digest:
            message = f"bundle {bundle.identity} must have the digest {release.bundle_digest}; got {bundle.digest}"
            raise BadArtifact(message)
        runtime = bundle.runtime(release.variant, threads=threads)
        numeric_class = bundle.check_numeric_class(runtime if release.variant == "float32" else bundle.runtime())
        table = None
        if release.table:
            table = DenseTable.open(models.storage, models.table_path(release.table), scratch=scratch, shared=shared)
            spec = table.spec
            if (spec.bundle, spec.variant, spec.codec) != (release.bundle, release.variant, release.codec):
                message = (
                    f"table {release.table} must be of bundle {release.bundle}, {release.variant}, {release.codec}; "
                    f"got {spec.bundle}, {spec.variant}, {spec.codec}. Precompute it again"
                )
                raise BadArtifact(message)
            if spec.rows != bundle.space.size:
                message = (
                    f"table {release.table} must have {bundle.space.size} rows, one for each of the space; "
                    f"got {spec.rows}. Precompute it again"
                )
                raise BadArtifact(message)
        return cls(release, bundle, runtime, table, numeric_class=numeric_class)

    @property
    def same_numeric_class(self) -> bool:
        """Whether this CPU's numeric class is that of the bundle: answers of the model are then equal to the bit."""
        return self.numeric_class == self.bundle.numeric_class

    def predict_row(self, row: Mapping[str, object], *, deadline: float | None = None) -> Answer:
        """Answer one row of raw values by feature name.

        Raises:
            InvalidInput: the row is at fault, or the model's answer to it is not finite.
        """
        answer = self.lookup(row)
        if answer is not None:
            return answer
        values = self.infer(self.space.encode_row(row), deadline=deadline)
        return Answer(tuple(values[0].tolist()), Source.MODEL)

    def lookup(self, row: Mapping[str, object]) -> Answer | None:
        """Answer one row from the table alone: the shortest path; None where it is a miss.

        Raises:
            InvalidInput: the row is at fault.
        """
        if self.table is None:
            return None
        ordinal = self.space.ordinal_of(row)
        if ordinal < 0:
            return None
        values = self.table.row(ordinal)
        return None if values is None else Answer(values, Source.TABLE)

    def predict(self, table: pa.Table | pa.RecordBatch, *, deadline: float | None = None) -> Answers:
        """Answer Arrow columns of raw values. Never raises for a bad row: it is a fault of the result."""
        return self.answer(self.space.encode(table, self._crew), deadline=deadline)

    def predict_rows(self, rows: Sequence[Mapping[str, object]], *, deadline: float | None = None) -> Answers:
        """Answer rows of raw values, as JSON gives them. Never raises for a bad row."""
        return self.answer(self.space.encode_rows(rows), deadline=deadline)

    def defaults(self, rows: int) -> Answers:
        """Return what stands in for so many answers that would be late.

        Raises:
            EngineBug: there is no ``default``.
        """
        if self.default is None:
            message = "defaults must only be asked for where there is one"
            raise EngineBug(message)
        return Answers(np.repeat(self.default, rows, axis=0), np.full(rows, Source.DEFAULT, np.uint8))

    def answer(self, encoded: Encoded, *, deadline: float | None = None) -> Answers:
        """Answer encoded rows: table hits taken out, the rest by the model in few calls, repeated rows once."""
        rows = len(encoded)
        ok = encoded.ok
        if self.table is None:
            values, hit = np.zeros((rows, self.schema.width), np.float32), np.zeros(rows, bool)
        else:
            ordinals = self.space.ordinals(encoded.inputs)
            if encoded.faults:
                ordinals[~ok] = -1
            values, hit = self.table.lookup(ordinals)
        source = np.where(hit, np.uint8(Source.TABLE), np.uint8(Source.NONE))
        misses = np.flatnonzero(ok & ~hit)
        faults = dict(encoded.faults)
        if len(misses):
            inputs = encoded.inputs if len(misses) == rows else encoded.inputs.take(misses)
            raw = self._infer_distinct(inputs, deadline)
            whole = self.codec.representable(raw)
            if not whole.all():
                faults.update({int(misses[at]): _no_code(raw[at]) for at in np.flatnonzero(~whole)})
                misses, raw = misses[whole], raw[whole]
            answers = self.codec.decode(self.codec.encode(raw))
            if len(misses) == rows:
                return Answers(answers, np.full(rows, Source.MODEL, np.uint8))
            values[misses], source[misses] = answers, Source.MODEL
        if faults:
            values[list(faults)] = np.nan
        return Answers(values, source, faults)

    def infer(self, inputs: Inputs, *, deadline: float | None = None) -> npt.NDArray[np.float32]:
        """Answer encoded rows by the model alone, after the codec; float32 of shape (n, width).

        Raises:
            InvalidInput: an answer is not finite.
        """
        return self.codec.decode(self.codec.encode(self.infer_raw(inputs, deadline=deadline)))

    def infer_few(self, inputs: Inputs) -> npt.NDArray[np.float32] | None:
        """As ``infer``, of ``runtime.FEW_ROWS`` rows or fewer; None where it would wait for an interpreter."""
        values = self._runtime.infer_few(inputs)
        return None if values is None else self.codec.decode(self.codec.encode(values))

    def infer_raw(self, inputs: Inputs, *, deadline: float | None = None) -> npt.NDArray[np.float32]:
        """Answer encoded rows by the model alone, before the codec; float32 of shape (n, width)."""
        return self._runtime.infer(inputs, deadline=deadline)

    def _infer_distinct(self, inputs: Inputs, deadline: float | None) -> npt.NDArray[np.float32]:
        """As ``infer_raw``; equal rows are inferred once, since a row's answer does not depend on its neighbours."""
        distinct = distinct_rows(inputs)
        if distinct is None:
            return self.infer_raw(inputs, deadline=deadline)
        return np.take(self.infer_raw(distinct.inputs, deadline=deadline), distinct.places, axis=0)


def _no_code(values: npt.NDArray[np.float32]) -> InvalidInput:
    if np.isfinite(values).all():
        message = f"the model's answer must be within what the release's codec can store; got {values.tolist()}"
        return InvalidInput(message, cause="model_overflows_codec")
    return InvalidInput("the model's answer must be finite; got NaN or an infinity", cause="model_not_finite")
