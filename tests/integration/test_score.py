"""Scoring as users run it: every format, every option, and what a plain reader finds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from engine.errors import BadArtifact, BadSettings, NotFound, Refused, Unavailable
from jobs.runner import FileRange
from jobs.score import parser, settings_of
from jobs.scoring.bad_rows import BadRowLimit
from jobs.scoring.format import FORMATS
from jobs.scoring.split import SplitSize
from tests.support.inline_runner import InlineRunner
from tests.support.programs import Finished, foretable
from tests.support.score_data import (
    Row,
    expected_scores,
    good_rows,
    read_quarantine,
    read_scores,
    same_bits,
    score_inline,
    stamps,
    write_input,
)
from tests.support.synthetic import FINITE_NAME, publish_synthetic

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FILES = {
    "day=2026-01-01/a": good_rows(120),
    "day=2026-01-01/b": good_rows(30, 120),
    "day=2026-01-02/a": good_rows(70, 150),
}
ROWS = [row for rows in FILES.values() for row in rows]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with one release, with a table; tests do not change it."""
    root = tmp_path_factory.mktemp("registry")
    publish_synthetic(str(root))
    return root


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A partitioned Parquet data set of 220 good rows; tests do not change it."""
    return write_input(tmp_path_factory.mktemp("source") / "input", "parquet", FILES)


def run(registry: Path, source: Path, output: Path, *options: str) -> Finished:
    places = ["--registry", str(registry), "--input", str(source), "--output", str(output)]
    return foretable("score", FINITE_NAME, *places, "--runner", "local", "--workers", "2", *options)


def nothing_visible(output: Path) -> bool:
    """Whether no reader finds anything of an output."""
    return all(path.name.startswith(("_", ".")) for path in output.parent.iterdir() if path.name.endswith(output.name))


@pytest.mark.parametrize("kind", FORMATS)
def test_every_row_is_scored_as_the_predictor_answers_it(kind: str, registry: Path, tmp_path: Path) -> None:
    source, output = write_input(tmp_path / "input", kind, FILES), tmp_path / "scores"
    fields = run(registry, source, output, "--json", "--keep", "id:int64,note", "--split-rows", "50").json()
    assert (fields["rows"], fields["scored"], fields["quarantined"], fields["causes"]) == (220, 220, 0, {})
    assert (fields["quarantine"], fields["release"], fields["runner"]) == (None, 1, "local")
    assert fields["splits"] == fields["computed"] == len(list(output.rglob("part-*.parquet")))
    found = read_scores(output)
    assert same_bits(found, expected_scores(registry, ROWS))
    assert [row["note"] for row in found] == [row["note"] for row in ROWS]
    assert [row["day"] for row in found] == ["2026-01-01"] * 150 + ["2026-01-02"] * 70
    assert list(found[0]) == ["id", "note", "click", "share", "source", "release", "day"]
    manifest = json.loads((output / "_manifest.json").read_bytes())
    assert manifest["rows"] == {"read": 220, "scored": 220, "quarantined": 0}
    assert manifest["sources"] == {"model": 25, "table": 195}
    assert sum(file["rows"] for file in manifest["files"].values()) == 220


def test_what_people_read(registry: Path, source: Path, tmp_path: Path) -> None:
    first = run(registry, source, tmp_path / "scores")
    assert first.code == 0, first.err
    assert first.out.startswith(f"file://{tmp_path}/scores: 220 of 220 rows scored by release 1 in ")
    assert "local runner" in first.out
    before = stamps(tmp_path / "scores")
    again = run(registry, source, tmp_path / "scores")
    assert again.out == f"file://{tmp_path}/scores: 220 of 220 rows scored by release 1; it was there\n"
    assert again.code == 0
    assert stamps(tmp_path / "scores") == before
    assert [path.name for path in tmp_path.iterdir()] == ["scores"]


def test_all_columns_are_kept_with_their_types(registry: Path, source: Path, tmp_path: Path) -> None:
    score_inline(registry, source, tmp_path / "scores")
    (file, *_) = sorted((tmp_path / "scores").rglob("*.parquet"))
    schema = pq.read_schema(file)
    assert schema.names == ["id", "city", "plan", "age", "size", "note", "click", "share", "source", "release"]
    assert (schema.field("id").type, schema.field("note").type) == (pa.int64(), pa.string())
    kept = [{name: row[name] for name in FILES["day=2026-01-01/a"][0]} for row in read_scores(tmp_path / "scores")]
    assert kept == ROWS


@pytest.mark.parametrize(
    "keep, prefix, columns",
    [
        ((), "", {"click": "float", "source": "dictionary<values=string, indices=int8, ordered=0>"}),
        (("id:string", "age:int32"), "our_", {"id": "string", "age": "int32", "our_click": "float"}),
        (("note", "day"), "", {"note": "string", "click": "float"}),  # the day stays in the path
    ],
)
def test_kept_columns(
    keep: tuple[str, ...], prefix: str, columns: dict[str, str], registry: Path, source: Path, tmp_path: Path
) -> None:
    score_inline(registry, source, tmp_path / "scores", keep=keep, prefix=prefix)
    schema = pq.read_schema(next((tmp_path / "scores").rglob("*.parquet")))
    found = {field.name: str(field.type) for field in schema}
    assert found.items() >= columns.items()
    assert len(schema) == len(keep) - ("day" in keep) + 4


def test_a_name_that_both_have_is_refused_and_a_prefix_helps(registry: Path, tmp_path: Path) -> None:
    rows = [{**row, "note": "x"} for row in good_rows(5)]
    source = tmp_path / "input"
    source.mkdir()
    pq.write_table(pa.Table.from_pylist([{**row, "click": 1, "release": 2} for row in rows]), source / "a.parquet")
    clash = run(registry, source, tmp_path / "scores")
    assert (clash.code, clash.out) == (64, "")
    assert (
        "added columns must have other names than the input's; both have click, release. Give a --prefix" in clash.err
    )
    assert score_inline(registry, source, tmp_path / "scores", prefix="new_").scored == 5


def test_dates_fill_the_urls(registry: Path, tmp_path: Path) -> None:
    write_input(tmp_path, "parquet", {"in/2026-01-31/07/a": good_rows(5)})
    source, output = tmp_path / "in" / "{date}" / "{hour}", tmp_path / "out" / "{date}-{hour}"
    fields = run(registry, source, output, "--date", "2026-01-31T07", "--json").json()
    assert fields["output"] == f"file://{tmp_path}/out/2026-01-31-07"
    assert len(read_scores(tmp_path / "out" / "2026-01-31-07")) == 5
    refused = run(registry, source, output)
    assert (refused.code, refused.out) == (64, "")
    assert "--input may have the places {date} and {hour}, with --date; got {date}" in refused.err


def settings(*options: str) -> object:
    return settings_of(parser().parse_args(["m", "--registry", "r", "--input", "i", "--output", "o", *options]))


@pytest.mark.parametrize(
    "options, message",
    [
        (["--delimiter", ""], "--delimiter must be one ASCII character"),
        (["--delimiter", '"'], "--delimiter must be one ASCII character"),
        (["--output", "o/{minute}", "--date", "2026-01-31"], r"got {minute} in 'o/{minute}'"),
        (
            ["--input", "x/{date}", "--date", "2026-01-31"],
            r"--output must have a place for --date, .*; got 'o'",
        ),
        (["--output", "{date}/{hour}", "--date", "2026-01-31"], "with --date and its hour; got {hour} in"),
    ],
)
def test_wrong_settings(options: Sequence[str], message: str) -> None:
    with pytest.raises(BadSettings, match=message):
        settings(*options)


@pytest.mark.parametrize(
    "options",
    [
        ["--date", "31.1.2026"],
        ["--max-bad-rows", "x"],
        ["--batch-timeout-s", "0"],
        ["--format", "xml"],
        ["--keep", ","],
    ],
)
def test_wrong_usage(options: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        settings(*options)
    assert caught.value.code == 64
    assert options[0] in capsys.readouterr().err


def test_no_input(registry: Path, tmp_path: Path) -> None:
    (tmp_path / "input").mkdir()
    ended = run(registry, tmp_path / "input", tmp_path / "scores")
    assert (ended.code, ended.out) == (64, "")
    assert f"input file://{tmp_path}/input must hold at least one file; got none. Is it the right path" in ended.err
    assert not (tmp_path / "scores").exists()


@pytest.mark.parametrize("kind", FORMATS)
def test_an_input_without_rows_gives_its_columns(kind: str, registry: Path, tmp_path: Path) -> None:
    source = tmp_path / "input"
    if kind in {"csv", "jsonl"}:
        write_input(source, kind, {"a": []})
    else:
        whole = write_input(tmp_path / "whole", kind, {"a": good_rows(3)})
        table = pads.dataset(whole, format=kind).to_table().slice(0, 0)
        source.mkdir()
        if kind == "orc":
            orc.write_table(table, source / "a.orc")
        else:
            pq.write_table(table, source / "a.parquet")
    done = score_inline(registry, source, tmp_path / "scores", keep=("id:int64",))
    assert (done.rows, done.scored, done.quarantined) == (0, 0, 0)
    table = pads.dataset(tmp_path / "scores").to_table()
    assert (table.num_rows, table.schema.names) == (0, ["id", "click", "share", "source", "release"])
    assert score_inline(registry, source, tmp_path / "scores", keep=("id:int64",)).computed == 0


@pytest.mark.parametrize("change", ["input", "settings", "release"])
def test_another_runs_output_is_refused_and_stays(change: str, tmp_path: Path) -> None:
    registry, output = tmp_path / "registry", tmp_path / "scores"
    publish_synthetic(str(registry))
    source = write_input(tmp_path / "input", "parquet", {"a": good_rows(10)})
    score_inline(registry, source, output)
    before = stamps(output)
    if change == "input":
        write_input(source, "parquet", {"b": good_rows(1, 10)})
    elif change == "release":
        publish_synthetic(str(registry), "uint8")
    with pytest.raises(Refused, match=r"must be of this run; got .*: release 1, .*Nothing is overwritten") as caught:
        score_inline(registry, source, output, prefix="x_" if change == "settings" else "")
    assert caught.value.exit_code == 65
    assert stamps(output) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["input", "registry", "scores"]


def test_what_is_no_output_is_refused_and_stays(registry: Path, source: Path, tmp_path: Path) -> None:
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "mine.txt").write_text("x")
    with pytest.raises(Refused, match="must be free; got what is no scoring job's"):
        score_inline(registry, source, tmp_path / "scores")
    assert (tmp_path / "scores" / "mine.txt").read_text() == "x"


def test_an_output_within_its_input_is_refused(registry: Path, tmp_path: Path) -> None:
    source = write_input(tmp_path / "input", "parquet", {"a": good_rows(5)})
    with pytest.raises(BadSettings, match="must not be within the input"):
        score_inline(registry, source, source / "scores")


@pytest.mark.parametrize("changed", [{"release": 9}, {"label": "canary"}, {"model": "nobody"}])
def test_what_does_not_exist(changed: dict[str, Any], registry: Path, source: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        score_inline(registry, source, tmp_path / "scores", **changed)
    assert list(tmp_path.iterdir()) == []


def test_unknown_names_are_refused(registry: Path, source: Path, tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"a kept column must be one of id, city, .*; got 'nobody'"):
        score_inline(registry, source, tmp_path / "scores", keep=("nobody",))
    with pytest.raises(BadSettings, match=r"a redacted column must be one of age, .*; got emial"):
        score_inline(registry, source, tmp_path / "scores", redact=("id", "emial"))


BAD: list[Row] = [{**row, "age": None} for row in good_rows(10, 500)]


@pytest.mark.parametrize("limit", ["9", "3.9%"])
def test_too_many_bad_rows_end_the_job(limit: str, registry: Path, tmp_path: Path) -> None:
    source = write_input(tmp_path / "input", "parquet", {"a": [*good_rows(220), *BAD], "b": good_rows(20, 300)})
    ended = run(registry, source, tmp_path / "scores", "--max-bad-rows", limit)
    assert (ended.code, ended.out) == (65, "")
    allowed = "9 rows" if limit == "9" else "3.900% of the rows"
    assert f"at most {allowed} may be bad (--max-bad-rows); got 10 " in ended.err
    *_, causes, example = ended.err.rstrip().splitlines()
    assert causes.endswith(": null 10")
    assert example == "  null: a.parquet row 220: feature 'age' must be a number; got null"
    assert nothing_visible(tmp_path / "scores")
    looser = score_inline(registry, source, tmp_path / "scores", max_bad_rows=BadRowLimit(rows=10), size=SplitSize())
    assert (looser.rows, looser.quarantined, looser.causes) == (250, 10, {"null": 10})


def test_redacted_columns_are_nowhere_in_the_quarantine(registry: Path, tmp_path: Path) -> None:
    secret = {**BAD[0], "note": "Anna Secret", "size": "Anna Secret", "age": "Anna Secret"}
    source = write_input(tmp_path / "input", "jsonl", {"a": [*good_rows(3), secret]})
    with (source / "a.jsonl").open("ab") as file:
        file.write(b'{"note": "Anna Secr')
    redact = ("note", "size", "age")
    done = score_inline(registry, source, tmp_path / "scores", keep=(), redact=redact)
    assert done.causes == {"malformed": 1, "wrong_type": 1}
    assert "Anna" not in str(read_quarantine(tmp_path / "scores"))
    assert b"Anna" not in b"".join(file.read_bytes() for file in (tmp_path / "scores").rglob("*") if file.is_file())


@pytest.mark.parametrize("how", ["replaced", "removed", "cut"])
def test_an_input_that_changes_while_it_is_scored(how: str, registry: Path, tmp_path: Path) -> None:
    source = write_input(tmp_path / "input", "parquet", {"a": good_rows(120)})
    file = source / "a.parquet"

    class Changing(InlineRunner):
        """Changes the file after the job was planned."""

        def run(self, *given: Any, **named: Any) -> Any:
            if how == "replaced":
                write_input(source, "parquet", {"a": good_rows(120, 1)})
            elif how == "cut":
                file.write_bytes(file.read_bytes()[:500])
            else:
                file.unlink()
            return super().run(*given, **named)

    with pytest.raises(Unavailable, match=r"input/a\.parquet must stay as it is while it is scored") as caught:
        score_inline(registry, source, tmp_path / "scores", Changing)
    assert caught.value.exit_code == 75
    assert nothing_visible(tmp_path / "scores")


@pytest.mark.parametrize("how", ["cut", "flipped"])
def test_a_damaged_file_is_named(how: str, registry: Path, tmp_path: Path) -> None:
    source = write_input(tmp_path / "input", "parquet", {"a": good_rows(120), "b": good_rows(120, 120)})
    file = source / "b.parquet"
    data = bytearray(file.read_bytes())
    data[60] ^= 1
    file.write_bytes(data[:-100] if how == "cut" else data)
    ended = run(registry, source, tmp_path / "scores")
    assert (ended.code, ended.out) == (65, "")
    assert f"file://{tmp_path}/input/b.parquet: must be an undamaged file of its format" in ended.err
    assert "Traceback" not in ended.err
    assert nothing_visible(tmp_path / "scores")
    with pytest.raises(BadArtifact, match=r"b\.parquet"):
        score_inline(registry, source, tmp_path / "scores")


def test_an_equal_run_that_was_first_is_as_good(registry: Path, source: Path, tmp_path: Path) -> None:
    output = tmp_path / "scores"

    class Overtaken(InlineRunner):
        """Another run scores everything and shows it while this one has its first split."""

        def run(self, task: Any, splits: Any, *rest: Any, **named: Any) -> Any:
            first = super().run(task, splits[:1], *rest, **named)
            score_inline(registry, source, output)
            return first + super().run(task, splits[1:], *rest, **named)

    done = score_inline(registry, source, output, Overtaken)
    assert done.scored == 220
    assert [path.name for path in tmp_path.iterdir()] == ["scores"]
    assert same_bits(read_scores(output), expected_scores(registry, ROWS))


def test_what_a_run_left_that_was_killed_after_it_had_shown_is_removed(
    registry: Path, source: Path, tmp_path: Path
) -> None:
    score_inline(registry, source, tmp_path / "scores")
    (tmp_path / "_scores-0123456789abcdef" / "day=2026-01-01").mkdir(parents=True)
    assert score_inline(registry, source, tmp_path / "scores").computed == 0
    assert [path.name for path in tmp_path.iterdir()] == ["scores"]


def test_a_runner_is_told_which_bytes_of_a_file_a_split_reads(registry: Path, tmp_path: Path) -> None:
    """Row groups are larger as read than in their file, which is compressed."""
    rows = [{**row, "note": "the same in each"} for row in good_rows(200)]
    source = write_input(tmp_path / "input", "parquet", {"a": rows})
    told: list[FileRange] = []

    class Asking(InlineRunner):
        """Asks for the ranges of every split."""

        def run(self, task: Any, splits: Any, *rest: Any, **named: Any) -> Any:
            told.extend(one for split in splits for one in named["ranges"](split))
            return super().run(task, splits, *rest, **named)

    score_inline(registry, source, tmp_path / "scores", Asking)
    assert {one.url for one in told} == {f"file://{source}/a.parquet"}
    assert len(told) == 4
    starts, stops = [one.start for one in told], [one.start + one.size_bytes for one in told]
    assert [0, *stops] == [*starts, (source / "a.parquet").stat().st_size]
    assert min(one.size_bytes for one in told) > 0.2 * stops[-1]


@pytest.mark.spark
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # pyspark leaves its sockets to the collector
def test_spark_reads_an_output_as_it_is(registry: Path, tmp_path: Path, spark: SparkSession) -> None:
    bad = {"day=2026-01-03/a": [*BAD, *good_rows(5, 400)]}
    source = write_input(tmp_path / "input", "parquet", {**FILES, **bad})
    score_inline(registry, source, tmp_path / "scores")
    frame = spark.read.parquet(str(tmp_path / "scores"))
    assert frame.columns == [*FILES["day=2026-01-01/a"][0], "click", "share", "source", "release", "day"]
    counts = {str(row["day"]): row["count"] for row in frame.groupBy("day").count().collect()}
    assert counts == {"2026-01-01": 150, "2026-01-02": 70, "2026-01-03": 5}
    first = frame.orderBy("id").first()
    (expected, *_) = expected_scores(registry, ROWS)
    assert first is not None
    assert {name: first[name] for name in expected} == expected


@pytest.mark.spark
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # pyspark leaves its sockets to the collector
def test_spark_reads_a_folder_of_days_while_another_is_scored(
    registry: Path, tmp_path: Path, spark: SparkSession
) -> None:
    """A day that is its output's name is a partition to Spark; what is unfinished and its lock are none."""
    scores = tmp_path / "scores"

    class Reading(InlineRunner):
        """Reads the folder when the second day's files are written, and before they show."""

        def run(self, *given: Any, **named: Any) -> Any:
            done = super().run(*given, **named)
            assert len(list(scores.iterdir())) > 2
            seen.append(spark.read.parquet(str(scores)))
            return done

    seen: list[Any] = []
    for day, runner in (("2026-01-01", InlineRunner), ("2026-01-02", Reading)):
        source = write_input(tmp_path / day, "parquet", {"a": good_rows(60)})
        score_inline(registry, source, scores / f"day={day}", runner, lock=True)
    (frame,) = seen
    assert frame.columns[-1] == "day"
    assert {str(row["day"]) for row in frame.select("day").distinct().collect()} == {"2026-01-01"}


def test_a_dated_input_that_is_not_there_yet_is_one_to_try_again_for(registry: Path, tmp_path: Path) -> None:
    options = ["--registry", str(registry), "--output", str(tmp_path / "out-{date}"), "--runner", "local"]
    dated = foretable("score", FINITE_NAME, *options, "--input", str(tmp_path / "rows-{date}"), "--date", "2026-01-31")
    assert dated.code == 75
    assert "rows-2026-01-31 must hold at least one file; got none" in dated.err


def test_an_input_without_any_feature_is_refused(registry: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("City;Plan\nBern;7\n")
    options = ["--registry", str(registry), "--input", str(tmp_path / "rows.csv"), "--output", str(tmp_path / "out")]
    refused = foretable("score", FINITE_NAME, *options, "--runner", "local")
    assert refused.code == 64
    assert "must have the model's features, city, plan, age, size; got the columns City;Plan" in refused.err
    assert not (tmp_path / "out").exists()
