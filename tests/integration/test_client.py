"""The client against the real server: every form of input, and the very bits of the predictor."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.errors import DeadlineExceeded, InvalidInput, NotFound
from engine.predictor import Predictor
from engine.registry import Registry
from foretable.client import AsyncClient, Client, Predictions
from tests.support.serving import ServerProcess
from tests.support.synthetic import (
    FINITE_NAME,
    NUMBERS_NAME,
    numbers_rows,
    synthetic_space,
)

MISS = {"city": "東京", "plan": "unheard of", "age": 33, "size": "2"}


@pytest.fixture(scope="module")
def server(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(published, logs=tmp_path_factory.mktemp("logs") / "server") as running:
        yield running
        assert "Traceback" not in running.log


def url(server: ServerProcess) -> str:
    return f"http://127.0.0.1:{server.port}"


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    with Client(url(server), FINITE_NAME, batch_rows=100) as made:
        yield made


def finite_rows(count: int) -> list[dict[str, Any]]:
    space = synthetic_space()
    rows = [dict(space.row(int(ordinal))) for ordinal in np.linspace(0, space.size - 1, count)]
    return [*rows[1:], MISS]


def expected(published: Path, model: str, rows: list[dict[str, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    models = Registry(str(published)).model(model)
    predictor = Predictor.load(models, models.release(1))
    answers = predictor.predict_rows(rows)
    assert not answers.faults
    return {name: answers.values[:, place].squeeze() for name, place in predictor.schema.slices.items()}


def check(found: Predictions, wanted: dict[str, np.ndarray[Any, Any]]) -> None:
    assert list(found.values) == list(wanted)
    for name, values in found.values.items():
        assert values.dtype == np.float32
        assert values.tobytes() == wanted[name].tobytes()


def forms(rows: list[dict[str, Any]]) -> dict[str, Any]:
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return {
        "rows": rows,
        "generator": (row for row in rows),
        "columns": columns,
        "mixed columns": {**columns, "age": ["33" if age == 33 else age for age in columns["age"]]},
        "arrays": {**columns, "age": np.array(columns["age"])},
        "table": pa.table(columns),
        "stream": pa.table(columns).to_reader(max_chunksize=7),
        "batches": iter([pa.table(columns).slice(0, 150), rows[150:]]),
    }


@pytest.mark.parametrize("form", list(forms([MISS])))
@pytest.mark.parametrize("body", [None, "json"])
def test_every_form_of_input_has_the_same_bits(server: ServerProcess, published: Path, form: str, body: Any) -> None:
    rows = finite_rows(250)
    with Client(url(server), FINITE_NAME, batch_rows=100, body=body) as client:
        found = client.predict(forms(rows)[form])
    check(found, expected(published, FINITE_NAME, rows))
    assert found.rows_by_source == {"table": 249, "model": 1}
    assert found.releases.tolist() == [1] * 250
    assert found.sources[0] == "table"
    assert found.sources[-1] in {"model", "mixed"}
    table = found.to_table()
    assert table.schema.names == ["click", "share", "source", "release"]
    assert table["share"].combine_chunks().flatten().to_numpy().tobytes() == found.values["share"].tobytes()


def test_a_row_by_get_and_by_post(client: Client, server: ServerProcess, published: Path) -> None:
    rows = [finite_rows(3)[0], MISS]
    wanted = expected(published, FINITE_NAME, rows)
    for number, (row, source) in enumerate(zip(rows, ("table", "model"), strict=True)):
        for _ in range(2):  # the second is a 304
            found = client.predict_row(row)
            assert (found.source, found.release) == (source, 1)
            assert np.float32(found.outputs["click"]).tobytes() == wanted["click"][number].tobytes()
            assert np.asarray(found.outputs["share"]).tobytes() == wanted["share"][number].tobytes()
    assert server.metric('foretable_requests_total{code="304",method="GET",model="synthetic",source="table"}') == 1
    (row,) = numbers_rows(1)
    with Client(url(server), NUMBERS_NAME) as numbers:  # a tensor has no place in a query
        assert numbers.predict_row(row).source == "model"


def test_tensors_in_every_form(server: ServerProcess, published: Path) -> None:
    rows = numbers_rows(30)
    wanted = expected(published, NUMBERS_NAME, rows)
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    with Client(url(server), NUMBERS_NAME, batch_rows=8) as client:
        check(client.predict(rows), wanted)
        check(client.predict(columns), wanted)
        check(client.predict({**columns, "vector": np.array(columns["vector"])}), wanted)


def test_bad_rows(client: Client) -> None:
    rows = finite_rows(250)
    rows[220] = {**rows[220], "city": "Atlantis"}
    with pytest.raises(InvalidInput, match="rows 200 to 249: row 20: feature 'city'"):
        client.predict(rows)
    table = pa.Table.from_pylist(rows)
    with pytest.raises(InvalidInput, match="row 220: feature 'city'") as raised:
        client.predict(table)
    assert (raised.value.cause, raised.value.feature) == ("unknown_category", "city")
    found = client.predict(table, keep_faults=True)
    assert list(found.faults) == [220]
    assert found.sources[220] == "none"
    assert np.flatnonzero(np.isnan(found.values["click"])).tolist() == [220]
    assert np.flatnonzero(np.isnan(found.values["share"]).any(1)).tolist() == [220]
    assert sum(found.rows_by_source.values()) == 249
    with pytest.raises(InvalidInput, match="feature 'city'"):
        client.predict_row(rows[220])
    with pytest.raises(InvalidInput, match="null"):
        client.predict_row({**MISS, "city": None})


@pytest.mark.parametrize(
    "data, message",
    [
        ([], "at least one row; got none"),
        (7, "must be mappings of feature to value, columns or a table; got int"),
        ({"city": "Zürich"}, "For one row: predict_row"),
        ({"city": ["Zürich"], "age": [1, 2]}, "must be of one length"),
        ([{"city": object()}], "must have a JSON form"),
    ],
)
def test_inputs_that_are_none(client: Client, data: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        client.predict(data)


def test_places_that_are_not_served(server: ServerProcess) -> None:
    with Client(url(server), "nobody") as client, pytest.raises(NotFound, match="model must be one of"):
        client.predict_row(MISS)
    with Client(url(server), FINITE_NAME, version=7) as client, pytest.raises(NotFound, match="7"):
        client.predict([MISS])
    with Client(url(server), FINITE_NAME, version=1) as client:
        assert client.predict_row(MISS).release == 1
    with Client(url(server), FINITE_NAME, label="production") as client:
        assert len(client.predict([MISS])) == 1


def test_a_deadline_that_has_passed(server: ServerProcess) -> None:
    with Client(url(server), FINITE_NAME, deadline_s=1e-6) as client, pytest.raises(DeadlineExceeded):
        client.predict([MISS])
    with Client(url(server), FINITE_NAME, deadline_s=60) as client:
        assert client.predict_row(MISS).source == "model"


def test_batch_by_batch(client: Client) -> None:
    rows = finite_rows(250)
    assert [len(part) for part in client.predict_iter(iter(rows))] == [100, 100, 50]
    assert [len(part) for part in client.predict_iter([rows[:30], rows[30:70]])] == [30, 40]
    answers = client.predict_iter(iter(rows))
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert client.predict_row(MISS).release == 1  # an iteration that is left leaves nothing behind


def test_asynchronously(server: ServerProcess, published: Path) -> None:
    rows = finite_rows(250)

    async def later() -> AsyncIterator[dict[str, Any]]:
        for row in rows:
            yield row

    async def main() -> None:
        async with AsyncClient(url(server), FINITE_NAME, batch_rows=100) as client:
            wanted = expected(published, FINITE_NAME, rows)
            check(await client.predict(rows), wanted)
            check(await client.predict(later()), wanted)
            assert [len(part) async for part in client.predict_iter(later())] == [100, 100, 50]
            assert (await client.predict_row(MISS)).source == "model"

    asyncio.run(main())


def test_a_generator_may_ask_the_same_client(client: Client) -> None:
    rows = [finite_rows(2)[0], MISS]

    def chosen() -> Iterator[dict[str, Any]]:
        for row in rows * 60:
            if client.predict_row(row).source == "table":
                yield row

    assert client.predict(chosen()).rows_by_source == {"table": 60}


def test_threads_share_a_client(client: Client, published: Path) -> None:
    rows = finite_rows(250)
    found: list[Predictions] = []
    threads = [threading.Thread(target=lambda: found.append(client.predict(rows))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answers in found:
        check(answers, expected(published, FINITE_NAME, rows))
    assert len(found) == 4


def test_a_bar_of_the_rows(server: ServerProcess, capsys: pytest.CaptureFixture[str]) -> None:
    with Client(url(server), FINITE_NAME, progress=True) as client:
        client.predict(finite_rows(250))
    assert "250/250" in capsys.readouterr().err
    with Client(url(server), FINITE_NAME) as client:  # no terminal
        client.predict(finite_rows(250))
    assert capsys.readouterr().err == ""


def test_a_program_that_forgets_to_close_ends(server: ServerProcess) -> None:
    program = (
        "from foretable.client import Client\n"
        f"print(Client({url(server)!r}, {FINITE_NAME!r}).predict_row({MISS!r}).release)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_loads_no_server_and_no_model(server: ServerProcess) -> None:
    program = "import sys, foretable.client; foretable.client.Client; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert not {name.partition(".")[0] for name in done.stdout.split()} & {"flask", "uvloop", "ai_edge_litert"}
