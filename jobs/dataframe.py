"""The DataFrame door: answers beside the rows of whatever Spark can read, by Spark's own plan.

Splits over files (``foretable score``) promise more and run faster. This door is for what only Spark reads: Hive
tables, Iceberg, SQL views, the middle of a pipeline.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql.functions import col
from pyspark.sql.pandas.types import to_arrow_type
from pyspark.sql.types import ArrayType, FloatType, IntegerType, StringType, StructField, StructType

from engine.answer import Answers
from engine.answer_columns import FAULT_FIELDS, answer_arrays, fault_array
from engine.errors import BadSettings
from engine.numeric_class import check_worker
from engine.output import OutputSchema
from engine.predictor import Predictor
from engine.registry import Registry
from jobs.scoring.worker import worker_predictor
from jobs.spark_runner import keep_archives

# Spark's batches are of 10,000 rows. Answering a few at once spares what each call costs whatever its rows; more rows
# only hold more memory, and from 65,536 on encoding would start threads beside Spark's own tasks.
_GROUP_ROWS = 1 << 15
_SPARK_FAULT = StructType([StructField(name, StringType()) for name in FAULT_FIELDS])


def score(  # noqa: PLR0913 - the signature is the door
    df: DataFrame,
    model: str,
    *,
    registry: str,
    label: str = "production",
    release: int | None = None,
    keep: Sequence[str] | None = None,
    prefix: str = "",
    shared: str | None = None,
) -> DataFrame:
    """Return the kept columns of a DataFrame with its rows' answers beside them.

    What each row gains: a column for each output (float, or an array of floats where it is wider than 1), ``source``
    (``table`` or ``model``), ``release``, and ``fault``: null where the row was scored, else a struct of ``cause``,
    ``feature`` and ``message``, with null in the other new columns. A bad row never fails the job.

        from foretable.spark import score

        scored = score(spark.table("flights"), "flights", registry="hdfs:///models", keep=["id", "day"]).persist()
        scored.where("fault is null").drop("fault").write.partitionBy("day").parquet("hdfs:///scores")
        scored.where("fault is not null").write.parquet("hdfs:///quarantine")

    The label is read once, here: all partitions answer from one release, even where the label moves or Spark computes
    the plan again. Release and table are loaded once a Python worker, when its first rows come.

    What is promised is less than ``foretable score`` does. The values of a row are those of every other path. But there
    are no positions in files, no resume and no counts that are checked; the order of rows, the partitions, retries and
    speculation are Spark's; what is written, how often and when it is visible is up to the writer that the caller
    chooses. A filter on the result is not pushed below it: filter before. A result that is used twice without
    ``persist`` is computed twice.

    Args:
        df: has a column for each feature of the model, found as Spark finds columns (by default in any case of
            letters), of any type: a value means what it means on every path. May be a view, a table, a query.
        model: the model's name.
        registry: its URL, which the executors must reach as well.
        label: answers from the release that it points to.
        release: answers from this one instead.
        keep: columns to keep, in this order; None is all. No other column but features is read.
        prefix: before the name of each new column.
        shared: a directory where all workers of an executor's host have one copy of the table; None is the job's own
            on a cluster, else a private copy a worker.

    Raises:
        BadSettings: a feature or a kept column is missing or there twice, has a type that Arrow cannot carry, or has
            the name of a new column.
        NotFound: there is no such model, label or release.
        BadArtifact: the release's bundle is damaged.
    """
    models = Registry(registry).existing_model(model)
    found = models.release(models.head(label).release if release is None else release)
    bundle = models.bundle(found.bundle)
    columns = _Columns(df)
    features = [columns.feature(name, model) for name in bundle.space.names]
    kept = columns.kept(keep)
    answers = [StructField(f"{prefix}{field.name}", field.dataType) for field in _answer_fields(bundle.schema)]
    columns.refuse_clash(kept, [field.name for field in answers])
    # A column that is both goes to the workers once.
    chosen = list(dict.fromkeys([*kept, *features]))
    # Under names of our own: mapInArrow takes a name with a point in it for a field of a struct.
    selected = df.select(*(col(_quoted(name)).alias(f"c{place}") for place, name in enumerate(chosen)))
    fields = [
        StructField(name, field.dataType, field.nullable, field.metadata)
        for name, field in zip(chosen, selected.schema, strict=True)
    ]
    for field in fields:
        _check_carried(field)
    scoring = _Scoring(
        registry=models.storage.url,
        model=model,
        release=found.number,
        numeric_class=bundle.check_numeric_class(bundle.runtime()),
        shared=shared,
        names=bundle.space.names,
        places=tuple(chosen.index(name) for name in features),
        kept=len(kept),
    )
    return selected.mapInArrow(scoring.answer_batches, StructType([*fields[: len(kept)], *answers]))


@dataclass(frozen=True, kw_only=True)
class _Scoring:
    """What goes to the workers.

    Attributes:
        registry: its URL.
        model: the model's name.
        release: its number.
        numeric_class: of the driver; a worker of another one ends the job.
        shared: see ``score``.
        names: of the features.
        places: where each feature stands in a batch.
        kept: how many columns of a batch are kept: the first.
    """

    registry: str
    model: str
    release: int
    numeric_class: str
    shared: str | None
    names: tuple[str, ...]
    places: tuple[int, ...]
    kept: int

    def answer_batches(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Answer one partition. Kept columns leave as they came; an empty partition loads nothing."""
        keep_archives()
        for group in _groups(batches):
            predictor = worker_predictor(self.registry, self.model, self.release, self.shared)
            check_worker(predictor.numeric_class, self.numeric_class, of="a job")
            features = [self._features(batch) for batch in group]
            columns = _answer_columns(predictor.predict(pa.Table.from_batches(features)), predictor)
            start = 0
            for batch in group:
                arrays = batch.columns[: self.kept] + [column.slice(start, len(batch)) for column in columns]
                # Spark goes by position; the names only have to be there.
                yield pa.RecordBatch.from_arrays(arrays, [str(place) for place in range(len(arrays))])
                start += len(batch)

    def _features(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays([batch.column(place) for place in self.places], list(self.names))


class _Columns:
    """The columns of a DataFrame, told apart as its session does."""

    def __init__(self, df: DataFrame) -> None:
        self._names = df.columns
        self._exact = df.sparkSession.conf.get("spark.sql.caseSensitive", "false") == "true"

    def feature(self, name: str, model: str) -> str:
        """Return the column of a feature."""
        return self._only(name, f"the DataFrame must have one column for each feature of {model!r}", "Select or rename")

    def kept(self, keep: Sequence[str] | None) -> list[str]:
        """Return the kept columns, each once."""
        if isinstance(keep, str):
            message = f"keep must be a sequence of column names; got the text {keep!r}. Write [{keep!r}]"
            raise BadSettings(message)
        wanted = self._names if keep is None else keep
        found = [self._only(name, "keep must name columns of the DataFrame", "Rename, or leave out") for name in wanted]
        return list(dict.fromkeys(found))

    def refuse_clash(self, kept: Iterable[str], new: Iterable[str]) -> None:
        """See that no two columns of the result have one name."""
        taken = {self._folded(name) for name in kept}
        for name in new:
            if self._folded(name) in taken:
                message = (
                    f"a column of answers must have a name of its own; got {name!r} twice. "
                    "Give a prefix (prefix='predicted_'), or keep other columns"
                )
                raise BadSettings(message)
            taken.add(self._folded(name))

    def _only(self, name: str, rule: str, cure: str) -> str:
        found = [column for column in self._names if self._folded(column) == self._folded(name)]
        if len(found) != 1:
            got = f"{name!r} {len(found)} times" if found else f"no {name!r}"
            message = f"{rule}; got {got} among {', '.join(self._names)}. {cure}"
            raise BadSettings(message)
        return found[0]

    def _folded(self, name: str) -> str:
        return name if self._exact else name.lower()


def _answer_fields(outputs: OutputSchema) -> list[StructField]:
    """Return the new columns without their prefix, in the order of ``_answer_columns``."""
    floats = ArrayType(FloatType(), containsNull=False)
    fields = [StructField(output.name, FloatType() if output.width == 1 else floats) for output in outputs.outputs]
    return [
        *fields,
        StructField("source", StringType()),
        StructField("release", IntegerType()),
        StructField("fault", _SPARK_FAULT),
    ]


def _answer_columns(answers: Answers, predictor: Predictor) -> list[pa.Array]:
    """Return the new columns' values in the Arrow types that Spark's reader knows."""
    arrays = answer_arrays(answers, predictor.schema, predictor.release.number)
    return [*map(_plain, arrays), fault_array(answers)]


def _plain(array: pa.Array) -> pa.Array:
    """Return an array without dictionary or fixed list, neither of which Spark reads."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return array.dictionary_decode()
    if pa.types.is_fixed_size_list(kind):
        return array.cast(pa.list_(kind.value_type))
    return array


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Gather batches, in order, until they have rows enough for a call."""
    group: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        group.append(batch)
        rows += len(batch)
        if rows >= _GROUP_ROWS:
            yield group
            group, rows = [], 0
    if rows:
        yield group


def _check_carried(field: StructField) -> None:
    """Raise ``BadSettings`` where Arrow has no form of a column's type."""
    try:
        to_arrow_type(field.dataType)
    except PySparkException as error:
        message = (
            f"column {field.name!r} must be of a type that Arrow carries; got {field.dataType.simpleString()}. "
            "Cast it, or leave it out of keep"
        )
        raise BadSettings(message) from error


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"
