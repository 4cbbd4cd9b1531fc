"""Bad rows of many kinds in every format: these are quarantined, each where it stands, and nothing else is."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.programs import foretable, processes_of
from tests.support.score_data import (
    COLUMNS,
    Row,
    encode,
    expected_scores,
    good_rows,
    read_quarantine,
    read_scores,
    same_bits,
    score_inline,
)
from tests.support.synthetic import (
    FINITE_NAME,
    SPINNING_NAME,
    SPINS_AT,
    numbers_rows,
    publish_numbers,
    publish_synthetic,
)
from tests.support.waiting import wait_until

# (file, number of the row in it) -> its cause and feature.
Faults = dict[tuple[str, int], tuple[str, str | None]]
LONELY = good_rows(1, 5000)[0]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("registry")
    publish_synthetic(str(root))
    return root


JSON_LINES: list[tuple[bytes, str, str | None]] = [
    (json.dumps({**LONELY, "age": "old"}).encode(), "wrong_type", "age"),
    (json.dumps({**LONELY, "age": True}).encode(), "wrong_type", "age"),
    (json.dumps({**LONELY, "age": None}).encode(), "null", "age"),
    (json.dumps({**LONELY, "age": math.nan}).encode(), "malformed", None),
    (json.dumps({**LONELY, "city": "Atlantis"}).encode(), "unknown_category", "city"),
    (json.dumps(LONELY).encode()[:40], "malformed", None),
    (json.dumps({name: LONELY[name] for name in COLUMNS if name != "plan"}).encode(), "missing_feature", "plan"),
    (json.dumps(LONELY).encode().replace(b'"note, ', b'"\xff'), "malformed", None),
    (json.dumps({**LONELY, "age": 1e39}).encode(), "out_of_range", "age"),
    (json.dumps({**LONELY, "id": "x"}).encode(), "wrong_type", "id"),
    (json.dumps(list(LONELY.values())).encode(), "malformed", None),
    (b'{"city": ' + b"[" * 900 + b"]" * 900 + b"}", "malformed", None),
]
CSV_LINES: list[tuple[bytes, str, str | None]] = [
    (b"5000,city 3,pro,old,1,x", "wrong_type", "age"),
    (b"5000,city 3,pro,,1,x", "wrong_type", "age"),
    (b"5000,city 3,pro,NaN,1,x", "wrong_type", "age"),
    (b"5000,Atlantis,pro,33,1,x", "unknown_category", "city"),
    (b'5000,"city 3,pro,33,1,x', "malformed", None),
    (b"5000,city 3,pro,33,1", "malformed", None),
    (b"5000,city 3,pro,33,1,x,y", "malformed", None),
    (b"5000,city 3,pro,33,1,\xff", "malformed", None),
    (b"5000,city 3,pro,1e39,1,x", "out_of_range", "age"),
    (b"x,city 3,pro,33,1,x", "wrong_type", "id"),
    (b"5000,city 3,pro,33,1,x\ry", "malformed", None),
]


def spread(lines: list[bytes], bad: list[tuple[bytes, str, str | None]], file: str) -> tuple[list[bytes], Faults]:
    """Put bad lines among good ones."""
    faults: Faults = {}
    for number, (line, cause, feature) in enumerate(bad):
        place = number * 80 + 7
        lines.insert(place, line)
        faults[file, place] = (cause, feature)
    return lines, faults


def text_input(root: Path, kind: str) -> tuple[list[Row], Faults]:
    """Write 1,000 good rows and about 1 % bad ones; return the good ones and the faults."""
    root.mkdir()
    good = good_rows(1000)
    if kind == "jsonl":  # with what must not matter: numbers as texts, and columns that nobody asked for
        shown = [{**row, "age": str(row["age"]), "more": [row["id"]]} if row["id"] % 3 else row for row in good]
        lines, faults = spread(encode(kind, shown).splitlines(), JSON_LINES, "a.jsonl")
        (root / "a.jsonl").write_bytes(b"\r\n".join(lines))
        return good, faults
    header, *lines = encode(kind, good).splitlines()
    lines, faults = spread(lines, CSV_LINES, "a.csv")
    (root / "a.csv").write_bytes(b"\n".join([header, *lines, b""]))
    lacking = good_rows(2, 6000)  # one file has no column "plan", and one has the columns in another order
    (root / "b.csv").write_bytes(encode(kind, lacking, [name for name in COLUMNS if name != "plan"]))
    turned = good_rows(50, 7000)
    (root / "c.csv").write_bytes(encode(kind, turned, [*COLUMNS[::-1]]))
    return [*good, *turned], faults | {("b.csv", row): ("missing_feature", "plan") for row in range(2)}


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_text(kind: str, registry: Path, tmp_path: Path) -> None:
    good, faults = text_input(tmp_path / "input", kind)
    places = ["--registry", str(registry), "--input", str(tmp_path / "input"), "--output", str(tmp_path / "scores")]
    options = ["--runner", "local", "--workers", "1", "--keep", "id:int64", "--json"]
    fields = foretable("score", FINITE_NAME, *places, *options).json()
    assert (fields["scored"], fields["quarantined"]) == (len(good), len(faults))
    assert same_bits(read_scores(tmp_path / "scores"), expected_scores(registry, good))
    found: Faults = {}
    for row in read_quarantine(tmp_path / "scores"):
        assert row["row"] is None
        data = (tmp_path / "input" / row["file"]).read_bytes()
        before, rest = data[: row["byte_offset"]], data[row["byte_offset"] :]
        text = row["content_bytes"] or row["content"].encode()
        assert rest.partition(b"\n")[0].removesuffix(b"\r") == text  # the whole row, where it stands
        found[row["file"], before.count(b"\n") - (kind == "csv")] = (row["cause"], row["feature"])
        assert row["message"]
    assert found == faults
    causes = [cause for cause, _ in faults.values()]
    assert fields["causes"] == {cause: causes.count(cause) for cause in sorted(set(causes))}


def broken_texts(values: list[str], at: int) -> pa.Array:
    """Return a column with bytes that are not UTF-8 in one place: Parquet's readers do not look."""
    data = [value.encode() for value in values]
    data[at] = b"\xff\xfe"
    offsets = np.cumsum([0, *map(len, data)]).astype(np.int32)
    return pa.StringArray.from_buffers(len(data), pa.py_buffer(offsets), pa.py_buffer(b"".join(data)))


def parquet_input(root: Path) -> tuple[list[Row], Faults]:
    """Write files whose schemas differ."""
    root.mkdir()
    faults: Faults = {}

    def write(name: str, table: pa.Table) -> None:
        pq.write_table(table, root / name, row_group_size=300)

    rows = good_rows(1000)
    changes: dict[int, tuple[dict[str, Any], str, str]] = {
        7: ({"age": None}, "null", "age"),
        99: ({"age": math.nan}, "not_finite", "age"),
        301: ({"age": 1e39}, "out_of_range", "age"),
        302: ({"age": -math.inf}, "not_finite", "age"),
        599: ({"city": "Atlantis"}, "unknown_category", "city"),
        600: ({"city": None}, "null", "city"),
        998: ({"age": None, "city": None}, "null", "city"),  # the first feature at fault
    }
    for place, (change, cause, feature) in changes.items():
        rows[place] = {**rows[place], **change}
        faults["a.parquet", place] = (cause, feature)
    table = pa.Table.from_pylist(rows)
    cities = [row["city"] or "" for row in rows]
    mask = pa.array([row["city"] is None for row in rows])
    city = pa.compute.if_else(mask, pa.scalar(None, pa.string()), broken_texts(cities, 700))
    faults["a.parquet", 700] = ("wrong_type", "city")
    table = table.set_column(1, "city", city).append_column("day", pa.array([1] * 1000, pa.timestamp("ns")))
    write("a.parquet", table)
    good = [row for place, row in enumerate(rows) if ("a.parquet", place) not in faults]

    texts = [{**row, "id": str(row["id"]), "age": str(row["age"])} for row in good_rows(50, 2000)]
    texts[3]["age"] = "old"
    texts[4]["id"] = "x"
    faults |= {("b.parquet", 3): ("wrong_type", "age"), ("b.parquet", 4): ("wrong_type", "id")}
    write("b.parquet", pa.Table.from_pylist(texts))
    good += [row for place, row in enumerate(texts) if place not in {3, 4}]

    write("c.parquet", pa.Table.from_pylist(good_rows(2, 3000)).drop_columns(["size"]))
    faults |= {("c.parquet", row): ("missing_feature", "size") for row in range(2)}
    write("d.parquet", pa.table({"id": [1], "unrelated": [2]}))
    faults["d.parquet", 0] = ("missing_feature", "city")

    more = good_rows(20, 4000)
    write("e.parquet", pa.Table.from_pylist([{"more": {"x": [1]}, **row} for row in more]))
    return [*good, *more], faults


def test_parquet_files_of_mixed_schemas(registry: Path, tmp_path: Path) -> None:
    good, faults = parquet_input(tmp_path / "input")
    done = score_inline(registry, tmp_path / "input", tmp_path / "scores", keep=("id:int64",))
    assert (done.scored, done.quarantined) == (len(good), len(faults))
    assert same_bits(read_scores(tmp_path / "scores"), expected_scores(registry, good))
    quarantined = read_quarantine(tmp_path / "scores")
    assert {(row["file"], row["row"]): (row["cause"], row["feature"]) for row in quarantined} == faults
    for row in quarantined:
        assert (row["byte_offset"], row["content_bytes"]) == (None, None)
        fields = json.loads(row["content"])
        table = pq.read_table(tmp_path / "input" / row["file"])
        assert list(fields) == table.schema.names  # whole, also what nobody asked for
        assert fields["id"] == table.column("id")[row["row"]].as_py()
    assert json.loads(next(row for row in quarantined if row["row"] == 700)["content"])["city"] == "fffe"


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_nothing_but_bad_rows(kind: str, registry: Path, tmp_path: Path) -> None:
    bad = [{**row, "city": "Atlantis"} for row in good_rows(120)]
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / f"a.{kind}").write_bytes(encode(kind, bad))
    done = score_inline(registry, tmp_path / "input", tmp_path / "scores", keep=("id:int64",))
    assert (done.scored, done.causes) == (0, {"unknown_category": 120})
    assert read_scores(tmp_path / "scores") == []
    assert len(read_quarantine(tmp_path / "scores")) == 120


def spinning_input(root: Path) -> list[dict[str, object]]:
    """Write four row groups of 30 rows; the model never answers the second and third."""
    rows = [{"id": number, **row} for number, row in enumerate(numbers_rows(120))]
    rows[35]["price"] = rows[70]["price"] = SPINS_AT
    root.mkdir()
    pq.write_table(pa.Table.from_pylist(rows), root / "a.parquet", row_group_size=30)
    return rows


Arguments = list[str]


@pytest.fixture
def spinning(tmp_path: Path) -> Arguments:
    """Returns the arguments that score with a model that hangs."""
    publish_numbers(str(tmp_path / "registry"), spinning=True)
    spinning_input(tmp_path / "input")
    places = {"--registry": "registry", "--input": "input", "--output": "scores"}
    settings = {"--runner": "local", "--workers": "1", "--batch-timeout-s": "1"}
    settings |= {option: str(tmp_path / name) for option, name in places.items()}
    return ["score", SPINNING_NAME, *(text for setting in settings.items() for text in setting), "--json"]


def test_a_batch_that_hangs_is_given_up_and_its_rows_quarantined(spinning: Arguments, tmp_path: Path) -> None:
    fields = foretable(*spinning, environment={"TEST_MARKER": str(tmp_path)}).json()
    assert (fields["rows"], fields["scored"], fields["causes"]) == (120, 60, {"timeout": 60})
    assert fields["seconds"] < 60
    quarantined = read_quarantine(tmp_path / "scores")
    assert [row["row"] for row in quarantined] == list(range(30, 90))
    assert {(row["cause"], row["feature"], row["message"]) for row in quarantined} == {
        ("timeout", None, "the model must answer within 1 s; it did not")
    }
    assert [row["id"] for row in read_scores(tmp_path / "scores")] == [*range(30), *range(90, 120)]
    wait_until(lambda: not processes_of(str(tmp_path)), what="no stuck call goes on", timeout_s=10)


def test_a_model_that_always_hangs_is_told(spinning: Arguments, tmp_path: Path) -> None:
    rows = [{**row, "price": SPINS_AT} for row in numbers_rows(50)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "input" / "a.parquet", row_group_size=10)
    ended = foretable(*spinning)
    assert (ended.code, ended.out) == (65, "")
    assert "model spinning: must answer 10 rows within 1 s; 4 calls did not. Give it longer" in ended.err
    assert not (tmp_path / "scores").exists()
