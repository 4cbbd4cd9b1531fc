"""The DataFrame door: tables and views that Spark reads, answered as every other path answers."""

from __future__ import annotations

import gc
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engine.bundle import Bundle
from engine.errors import BadSettings, NotFound
from engine.predictor import Predictor
from engine.registry import Registry
from engine.release import Release
from tests.support.synthetic import FINITE_NAME, NUMBERS_NAME, numbers_rows, publish_numbers, publish_synthetic

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

pytestmark = [
    pytest.mark.spark,
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # pyspark leaves its sockets to the collector
]
SCHEMA = "id int, city string, plan string, age double, size string"
# The first half of each pair can be answered; what is at fault, and why, is written down beside it.
ROWS: list[tuple[int, str | None, str | None, float | None, str | None]] = [
    (0, "Zürich", "basic", 31.0, "1"),
    (1, "東京", "nobody's", 99.5, "2"),
    (2, "Zu\u0308rich", "7", 0.0, "other"),
    (3, "city 7", "pro", -5.0, "1"),
    (4, None, "basic", 31.0, "1"),
    (5, "Atlantis", "basic", 31.0, "1"),
    (6, "city 7", "basic", math.nan, "1"),
    (7, "city 7", "basic", None, "1"),
    (8, "city 7", "basic", math.inf, "1"),
    (9, "city 7", None, 31.0, "1"),
    (10, "Αθήνα", "family", 100.0, "2"),
]
FAULTS = {
    4: ("null", "city"),
    5: ("unknown_category", "city"),
    6: ("not_finite", "age"),
    7: ("null", "age"),
    8: ("not_finite", "age"),
    9: ("null", "plan"),
}
FEATURES = ("city", "plan", "age", "size")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A registry with a release of the synthetic model and its table."""
    url = str(tmp_path_factory.mktemp("registry"))
    publish_synthetic(url)
    return url


@pytest.fixture
def df(spark: SparkSession) -> Iterator[DataFrame]:
    """``ROWS`` in two partitions."""
    yield spark.createDataFrame(ROWS, SCHEMA).repartitionByRange(2, "id")
    gc.collect()  # while the warning is ignored


@contextmanager
def settings(spark: SparkSession, values: Mapping[str, str]) -> Iterator[None]:
    """Sets options of the session for a while."""
    before = {name: spark.conf.get(name) for name in values}
    try:
        for name, value in values.items():
            spark.conf.set(name, value)
        yield
    finally:
        for name, old in before.items():
            if old is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, old)


def score(df: DataFrame, registry: str, model: str = FINITE_NAME, **choices: Any) -> DataFrame:
    from foretable.spark import score

    return score(df, model, registry=registry, **choices)


def features_of(rows: Sequence[Row]) -> list[dict[str, object]]:
    return [{name: row[name] for name in FEATURES} for row in rows]


def check_answers(rows: Sequence[Row], raw: Sequence[Mapping[str, object]], registry: str, model: str) -> int:
    """Hold scored rows against ``Predictor.predict_rows``, to the bit; return how many have a fault."""
    predictor = Predictor.open(registry, model)
    answers = predictor.predict_rows(raw)
    assert len(rows) == len(raw)
    for number, row in enumerate(rows):
        fault = answers.faults.get(number)
        if fault:
            assert (row.fault.cause, row.fault.feature) == (fault.cause, fault.feature)
            assert row.fault.message.startswith(f"feature '{fault.feature}' must ")
            assert (row.click, row.share, row.source, row.release) == (None, None, None, None)
        else:
            assert row.fault is None
            found = np.array([row.click, *row.share], np.float32)
            assert found.tobytes() == answers.values[number].tobytes()
            assert row.source == ("table" if answers.source[number] == 1 else "model")
            assert row.release == predictor.release.number
    return len(answers.faults)


def test_faulty_rows_come_back_with_their_fault_and_the_rest_is_scored(df: DataFrame, registry: str) -> None:
    scored = score(df, registry)
    assert scored.columns == ["id", *FEATURES, "click", "share", "source", "release", "fault"]
    rows = scored.orderBy("id").collect()
    assert {row.id: (row.fault.cause, row.fault.feature) for row in rows if row.fault} == FAULTS
    assert check_answers(rows, features_of(rows), registry, FINITE_NAME) == len(FAULTS)
    assert {row.source for row in rows} == {"table", "model", None}


def test_rows_with_and_without_a_fault_come_back_as_one_arrow_table(df: DataFrame, registry: str) -> None:
    scored = score(df, registry).toArrow().sort_by("id")
    faults = {row["id"]: row["fault"] for row in scored.to_pylist()}
    assert {number: (fault["cause"], fault["feature"]) for number, fault in faults.items() if fault} == FAULTS


def test_the_fault_column_parts_scores_from_quarantine(df: DataFrame, registry: str, tmp_path: Path) -> None:
    scored = score(df, registry, keep=["id"]).persist()
    scored.where("fault is null").drop("fault").write.parquet(str(tmp_path / "scores"))
    scored.where("fault is not null").write.parquet(str(tmp_path / "quarantine"))
    scored.unpersist()
    read = df.sparkSession.read.parquet
    assert {row.id for row in read(str(tmp_path / "quarantine")).collect()} == set(FAULTS)
    assert {row.id for row in read(str(tmp_path / "scores")).where("click > -100").collect()} == {0, 1, 2, 3, 10}


@pytest.mark.parametrize(
    "kind, values",
    [
        ("tinyint", [7, None]),
        ("bigint", [7, 2**53, -1]),
        ("float", [7.0, 99.5, math.nan]),
        ("double", [7.0, 1e39, -0.0]),
        ("decimal(5,2)", [Decimal("7.00"), Decimal("7.50"), None]),
        ("decimal(38,0)", [Decimal(10**37), Decimal(7)]),
        ("string", ["7", "7.5", "07", "x", "NaN", "", None]),
        ("boolean", [True, None]),
        ("date", [date(2026, 1, 1), None]),
        ("timestamp", [datetime(2026, 1, 1)]),  # noqa: DTZ001 - as Spark's rows hold it
        ("timestamp_ntz", [datetime(2026, 1, 1)]),  # noqa: DTZ001
        ("binary", [b"7"]),
        ("array<int>", [[7], [], None]),
        ("map<string,int>", [{"a": 7}]),
        ("struct<a:int>", [{"a": 7}]),
        ("void", [None]),
    ],
)
def test_a_value_of_any_type_means_what_it_means_elsewhere(
    spark: SparkSession, registry: str, kind: str, values: list[object]
) -> None:
    base = {"city": "city 7", "plan": "basic", "age": "30", "size": "1"}
    raw: list[dict[str, object]] = []
    parts = []
    for feature in ("age", "size", "city"):
        rows: list[dict[str, object]] = [{**base, feature: value} for value in values]
        fields = ", ".join(f"{name} {kind if name == feature else 'string'}" for name in FEATURES)
        made = spark.createDataFrame([tuple(row.values()) for row in rows], fields).coalesce(1)
        parts.append(score(made, registry, keep=[]))
        raw += rows
    check_answers(parts[0].union(parts[1]).union(parts[2]).collect(), raw, registry, FINITE_NAME)


def test_a_space_with_tensors(spark: SparkSession, tmp_path: Path) -> None:
    publish_numbers(str(tmp_path))
    raw = numbers_rows(20)
    raw[3] = {**raw[3], "vector": [[1.0, 2.0]]}
    raw[4] = {**raw[4], "price": math.nan}
    fields = "price double, plan string, vector array<array<float>>, distance bigint"
    rows = spark.createDataFrame([tuple(row.values()) for row in raw], fields).coalesce(1)
    scored = score(rows, str(tmp_path), NUMBERS_NAME).collect()
    assert check_answers(scored, raw, str(tmp_path), NUMBERS_NAME) == 2


@pytest.fixture
def visits(spark: SparkSession, df: DataFrame, tmp_path: Path) -> Iterator[str]:
    """A table partitioned by two features, one of them with names that its directories must escape."""
    df.write.partitionBy("city", "size").option("path", str(tmp_path / "visits")).saveAsTable("visits")
    yield "visits"
    spark.sql("drop table visits")


def test_a_partitioned_table(spark: SparkSession, visits: str, registry: str) -> None:
    table = spark.table(visits)
    assert table.columns == ["id", "plan", "age", "city", "size"]
    rows = score(table, registry).orderBy("id").collect()
    assert {row.id: (row.fault.cause, row.fault.feature) for row in rows if row.fault} == FAULTS
    check_answers(rows, features_of(rows), registry, FINITE_NAME)


def test_only_what_is_needed_is_read_and_a_filter_before_prunes(
    spark: SparkSession, visits: str, registry: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spark.table(visits).withColumnRenamed("id", "unused").createOrReplaceTempView("wide")
    scored = score(spark.table("wide").where("size = '2'"), registry, keep=["plan"])
    scored.explain(extended=False)
    plan = capsys.readouterr().out
    assert "ReadSchema: struct<plan:string,age:double>" in plan
    assert "PartitionFilters: [isnotnull(size" in plan
    assert sorted(row.plan for row in scored.collect()) == ["family", "nobody's"]


def test_a_view_with_a_join_and_a_cast(spark: SparkSession, visits: str, registry: str) -> None:
    spark.createDataFrame(
        [(0, "31"), (1, "x"), (2, "7.5"), (4, "8")], "visit int, said string"
    ).createOrReplaceTempView("ages")
    spark.sql(
        f"create or replace temporary view heard as select id, city, plan, size, cast(said as decimal(4,1)) as age "
        f"from {visits} join ages on id = visit where said rlike '^[0-9.]+$'"
    )
    rows = score(spark.table("heard"), registry).orderBy("id").collect()
    assert [row.id for row in rows] == [0, 2, 4]
    assert [row.age for row in rows] == [Decimal("31.0"), Decimal("7.5"), Decimal("8.0")]
    assert check_answers(rows, features_of(rows), registry, FINITE_NAME) == 1


def test_answers_stay_of_one_release_while_the_label_moves(df: DataFrame, tmp_path: Path) -> None:
    url = str(tmp_path)
    first = publish_synthetic(url)
    before = score(df, url, keep=["id"])
    second = move_label(url, first)
    after = score(df, url, keep=["id"])
    named = score(df, url, keep=["id"], release=first.number)
    for scored, number, sources in [
        (before, first.number, {"table", "model"}),
        (after, second.number, {"model"}),
        (named, first.number, {"table", "model"}),
    ]:
        rows = [row for row in scored.collect() if not row.fault]
        assert {row.release for row in rows} == {number}
        assert {row.source for row in rows} == sources


def move_label(url: str, first: Release) -> Release:
    """Publish the same bundle without its table."""
    models = Registry(url).model(FINITE_NAME)
    second = models.create_release(replace(first, table=None))
    label = models.label()
    label.move(second.number, after=label.head(), reason="a test needs it")
    return second


def test_a_worker_that_has_loaded_the_release_needs_the_registry_no_more(df: DataFrame, tmp_path: Path) -> None:
    url = str(tmp_path / "registry")
    publish_synthetic(url)
    scored = score(df.repartition(16), url, keep=["id"])
    first = sorted(scored.collect())
    shutil.rmtree(url)
    assert sorted(scored.collect()) == first


def test_workers_of_a_host_share_one_copy_of_the_table(df: DataFrame, tmp_path: Path) -> None:
    url, shared = str(tmp_path / "registry"), tmp_path / "shared"
    publish_synthetic(url)
    rows = score(df.repartition(4), url, shared=str(shared)).collect()
    assert len(rows) == len(ROWS)
    assert len(list(shared.glob("*.table"))) == 1


def test_an_empty_dataframe(df: DataFrame, registry: str) -> None:
    scored = score(df.where("id < 0"), registry)
    assert scored.collect() == []
    assert scored.columns[-1] == "fault"


def test_an_empty_partition_and_batches_that_are_answered_together(spark: SparkSession, registry: str) -> None:
    numbers = spark.range(0, 90, 1, 3).where("id < 30 or id >= 60")
    made = numbers.selectExpr("id", "'city 7' as city", "'pro' as plan", "id as age", "'1' as size")
    assert [len(part) for part in made.rdd.glom().collect()] == [30, 0, 30]
    with settings(spark, {"spark.sql.execution.arrow.maxRecordsPerBatch": "7"}):
        rows = score(made, registry).collect()
    assert [row.id for row in rows] == [*range(30), *range(60, 90)]
    check_answers(rows, features_of(rows), registry, FINITE_NAME)


TYPES = """
    true as boolean_, 1Y as byte_, 2S as short_, 3 as int_, 4L as long_, float(1.5) as float_,
    double('-0.0') as double_, cast('12345678901234567890.123456789012345678' as decimal(38,18)) as decimal_,
    'text 🍰' as string_, cast('x' as varchar(9)) as varchar_, cast(X'ff00' as string) as broken_, X'00ff' as binary_,
    date'0001-01-02' as date_, timestamp'2026-03-29 02:30:00.123456' as timestamp_,
    timestamp_ntz'1900-01-01 00:00:00' as timestamp_ntz_, interval '1 02:03:04.000005' day to second as interval_,
    array(1, null, 3) as array_, array(array('a'), null) as nested_, map('k', array(1.5D), 'l', null) as map_,
    named_struct('a', 1, 'b', named_struct('c', array(date'2026-01-01'))) as struct_, null as void_,
    cast(null as timestamp) as no_timestamp, cast(null as struct<a: map<string, int>>) as no_struct,
    array(named_struct('a', cast(null as decimal(5,2)))) as structs_, parse_json('{"a": [1, null]}') as variant_
"""


@pytest.mark.parametrize("large", ["true", "false"])
def test_kept_columns_of_every_type_are_unchanged(spark: SparkSession, registry: str, large: str) -> None:
    with settings(
        spark,
        {"spark.sql.session.timeZone": "America/Sao_Paulo", "spark.sql.execution.arrow.useLargeVarTypes": large},
    ):
        spark.createDataFrame(ROWS, SCHEMA).createOrReplaceTempView("plain")
        df = spark.sql(f"select *, {TYPES} from plain")
        kept = [name for name in df.columns if name.endswith("_") or name.startswith("no_")]
        assert len(kept) == 25
        scored = score(df, registry, keep=kept)
        assert scored.schema.fields[: len(kept)] == df.select(kept).schema.fields
        fields = ", ".join(f"'{name}', {plain(name)}" for name in kept)
        shown = f"to_json(named_struct({fields})) as shown"
        assert scored.selectExpr(shown).collect() == df.selectExpr(shown).collect()


def plain(name: str) -> str:
    """Return an expression that JSON can show, whatever the bytes."""
    return {"broken_": "hex(broken_)", "interval_": "cast(interval_ as string)", "void_": "1"}.get(name, name)


def test_a_type_that_arrow_cannot_carry_is_refused_at_once(df: DataFrame, registry: str) -> None:
    odd = df.selectExpr("*", "interval '1-2' year to month as span")
    with pytest.raises(BadSettings, match=r"column 'span' must be of a type that Arrow carries; got .*Cast it, or"):
        score(odd, registry)
    assert score(odd, registry, keep=["id"]).count() == len(ROWS)


def test_kept_columns_are_those_named_in_that_order(df: DataFrame, registry: str) -> None:
    odd = df.withColumn("a `dotted.name", df.id * 2)
    scored = score(odd, registry, keep=["a `dotted.name", "age", "id", "age"])
    assert scored.columns == ["a `dotted.name", "age", "id", "click", "share", "source", "release", "fault"]
    assert {(row[0], row["id"]) for row in scored.collect()} == {(2 * row[0], row[0]) for row in ROWS}
    assert score(df, registry, keep=[]).columns == ["click", "share", "source", "release", "fault"]


def test_names_are_found_as_spark_finds_them(spark: SparkSession, df: DataFrame, registry: str) -> None:
    shouted = df.toDF("ID", "CITY", "PLAN", "AGE", "SIZE")
    rows = score(shouted, registry, keep=["id"]).orderBy("id").collect()
    assert rows == score(df, registry, keep=["id"]).orderBy("id").collect()
    with (
        settings(spark, {"spark.sql.caseSensitive": "true"}),
        pytest.raises(BadSettings, match="got no 'city' among ID, CITY, PLAN"),
    ):
        score(shouted, registry)


@pytest.mark.parametrize(
    "change, choices, message",
    [
        ("* except (city)", {}, r"must have one column for each feature of 'synthetic'; got no 'city' among id, plan"),
        ("*, city", {}, r"for each feature of 'synthetic'; got 'city' 2 times among id, city, .*Select or rename"),
        ("*, id", {}, r"keep must name columns of the DataFrame; got 'id' 2 times"),
        ("*", {"keep": ["id", "day"]}, r"keep must name columns of the DataFrame; got no 'day' among id, city"),
        ("*", {"keep": "id"}, r"keep must be a sequence of column names; got the text 'id'. Write \['id'\]"),
        ("*, 1 as Click", {}, r"must have a name of its own; got 'click' twice. Give a prefix"),
        ("*, 1 as my_fault", {"prefix": "my_"}, r"must have a name of its own; got 'my_fault' twice"),
    ],
)
def test_what_cannot_be_is_refused_before_spark_runs(
    df: DataFrame, registry: str, change: str, choices: dict[str, Any], message: str
) -> None:
    df.createOrReplaceTempView("changed")
    with pytest.raises(BadSettings, match=message):
        score(df.sparkSession.sql(f"select {change} from changed"), registry, **choices)


def test_a_prefix_cures_a_clash(df: DataFrame, registry: str) -> None:
    scored = score(df.withColumn("source", df.city), registry, keep=["source"], prefix="p_")
    assert scored.columns == ["source", "p_click", "p_share", "p_source", "p_release", "p_fault"]
    assert {row.source for row in scored.collect()} == {row[1] for row in ROWS}


@pytest.mark.parametrize("choices", [{"label": "canary"}, {"release": 7}])
def test_an_unknown_release_is_refused_at_once(df: DataFrame, registry: str, choices: dict[str, Any]) -> None:
    with pytest.raises(NotFound, match=r"must be one of (production|1); got"):
        score(df, registry, **choices)


def test_a_worker_of_another_numeric_class_ends_the_job(
    df: DataFrame, registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyspark.errors import PythonException

    monkeypatch.setattr(Bundle, "check_numeric_class", lambda *_: "litert-of-another-cpu")
    scored = score(df, registry)
    with pytest.raises(PythonException, match="every worker of a job must be of numeric class litert-of-another-cpu"):
        scored.collect()


def test_the_front_door_names_nothing_else() -> None:
    import foretable.spark

    assert foretable.spark.__all__ == ["score"]
    with pytest.raises(AttributeError, match=r"'foretable\.spark' has no attribute 'sore'"):
        _ = foretable.spark.sore
