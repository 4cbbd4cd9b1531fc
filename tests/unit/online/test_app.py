from __future__ import annotations

import dataclasses
import json
import re
import threading
import time
from contextlib import closing
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pyarrow as pa
import pytest

from engine.errors import BadArtifact, DeadlineExceeded, EngineBug, NotFound, Unavailable
from engine.predictor import Predictor
from engine.wire.media_types import ARROW_STREAM
from online.app import create_app
from online.config import ServeConfig
from online.served import ServedHolder
from tests.support.app_client import AppClient
from tests.support.synthetic import FINITE_NAME, NUMBERS_NAME, numbers_rows

PREDICT = f"/v1/models/{FINITE_NAME}:predict"
ROW = {"city": "São Paulo", "plan": "pro", "age": 33, "size": "2"}
MISS = {**ROW, "plan": "unheard of"}


def get(client: AppClient, row: dict[str, Any], path: str = PREDICT, **options: Any) -> Any:
    return client.get(f"{path}?{urlencode(row)}", **options)


def post(client: AppClient, body: object, path: str = PREDICT, **options: Any) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(path, data=data, **{"content_type": "application/json", **options})


def described(client: AppClient, path: str) -> Any:
    return client.get(path).json


def metric(client: AppClient, line: str) -> float:
    found = [text for text in client.get("/metrics").text.splitlines() if text.startswith(line + " ")]
    assert len(found) == 1, line
    return float(found[0].rpartition(" ")[2])


def values(outputs: dict[str, Any]) -> bytes:
    return np.array([outputs["click"], *outputs["share"]], np.float32).tobytes()


@pytest.mark.parametrize("row, source", [(ROW, "table"), (MISS, "model")])
def test_get_answers_and_says_from_where(
    client: AppClient, served: tuple[ServeConfig, ServedHolder], row: dict[str, Any], source: str
) -> None:
    response = get(client, row)
    predictor = served[1].get(FINITE_NAME).predictor
    assert response.status_code == 200
    assert response.json["source"] == source
    assert (response.json["model"], response.json["release"]) == (FINITE_NAME, 1)
    assert values(response.json["outputs"]) == predictor.infer(predictor.space.encode_row(row)).tobytes()
    assert response.headers["Cache-Control"] == "max-age=60"
    assert response.headers["ETag"].endswith(f'-{source}"')


@pytest.mark.parametrize("row", [ROW, MISS])
def test_known_answer_is_not_sent_again(client: AppClient, row: dict[str, Any]) -> None:
    tag = get(client, row).headers["ETag"]
    response = get(client, row, headers={"If-None-Match": f'"other", {tag}'})
    assert (response.status_code, response.data) == (304, b"")
    assert response.headers["ETag"] == tag
    assert "Content-Length" not in response.headers


def test_bodies_in_rows_and_columns_carry_the_same_bits_as_get(client: AppClient) -> None:
    wanted = [get(client, row).json["outputs"] for row in (ROW, MISS)]
    rows = post(client, {"instances": [ROW, MISS]})
    assert rows.json == {"predictions": wanted}
    assert rows.headers["Foretable-Source"] == "table=1, model=1"
    assert rows.headers["Foretable-Release"] == "1"
    columns = post(client, {"inputs": {name: [ROW[name], MISS[name]] for name in ROW}})
    assert columns.json == {"outputs": {name: [wanted[0][name], wanted[1][name]] for name in wanted[0]}}
    one = post(client, {"instances": [ROW]})
    assert one.json == {"predictions": wanted[:1]}
    assert one.headers["Foretable-Source"] == "table"


def test_space_that_is_not_finite(client: AppClient, served: tuple[ServeConfig, ServedHolder]) -> None:
    predictor = served[1].get(NUMBERS_NAME).predictor
    rows = numbers_rows(3)
    found = post(client, {"instances": rows}, f"/v1/models/{NUMBERS_NAME}:predict")
    assert found.headers["Foretable-Source"] == "model"
    wanted = predictor.predict_rows(rows).values
    assert [values(outputs) for outputs in found.json["predictions"]] == [row.tobytes() for row in wanted]


def test_versions_and_labels_in_the_path(client: AppClient) -> None:
    for place in ("", "/versions/1", "/labels/production"):
        assert get(client, ROW, f"/v1/models/{FINITE_NAME}{place}:predict").data == get(client, ROW).data
        status = described(client, f"/v1/models/{FINITE_NAME}{place}")
        assert status["model_version_status"][0]["version"] == "1"
        assert described(client, f"/v1/models/{FINITE_NAME}{place}/metadata")["model_spec"]["version"] == "1"


def test_metadata_describes_inputs_and_outputs(client: AppClient) -> None:
    found = described(client, f"/v1/models/{FINITE_NAME}/metadata")
    signature = found["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert {name: tensor["dtype"] for name, tensor in signature["inputs"].items()} == {
        "city": "DT_STRING",
        "plan": "DT_STRING",
        "age": "DT_FLOAT",
        "size": "DT_STRING",
    }
    assert [dim["size"] for dim in signature["outputs"]["share"]["tensor_shape"]["dim"]] == ["-1", "2"]
    assert found["foretable"]["label"] == "production"
    assert [feature["name"] for feature in found["foretable"]["features"]] == list(ROW)


@pytest.mark.parametrize(
    "path, message",
    [
        ("/v1/models/nobody:predict", "model must be one of synthetic, numbers; got 'nobody'"),
        ("/v1/models/..%2F..%2Fetc:predict", "does not exist"),
        (
            f"/v1/models/{FINITE_NAME}/versions/7:predict",
            "version of 'synthetic' must be a release that is served: 1; got '7'",
        ),
        (
            f"/v1/models/{FINITE_NAME}/labels/canary",
            "label of 'synthetic' must be one that is served: production; got 'canary'",
        ),
        (f"/v1/models/{FINITE_NAME}:classify", "does not exist"),
        ("/nowhere", "does not exist"),
    ],
)
def test_what_is_not_there(client: AppClient, path: str, message: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert_error(response, message)


@pytest.mark.parametrize(
    "row, message",
    [
        ({**ROW, "city": "Atlantis"}, "feature 'city' must be one of .* got 'Atlantis'"),
        ({name: ROW[name] for name in ("city", "plan", "age")}, "feature 'size' must be given; got city, plan, age"),
        ({**ROW, "extra": 1}, "feature 'extra' must be one of city, plan, age, size"),
        ({**MISS, "extra": 1}, "feature 'extra' must be one of city, plan, age, size"),
        ({**ROW, "age": "young"}, "feature 'age' must be a number; got str 'young'"),
        ({**ROW, "age": "NaN"}, "feature 'age' must be a number; got str 'NaN'"),
        ({**ROW, "age": "1e99"}, "feature 'age' must fit a float32"),
        ({}, "feature 'city' must be given; got none"),
    ],
)
def test_bad_query(client: AppClient, row: dict[str, Any], message: str) -> None:
    response = get(client, row)
    assert response.status_code == 400
    assert_error(response, message)


@pytest.mark.parametrize(
    "body, message",
    [
        (b"", "empty body"),
        (b"{", "must be JSON"),
        ({"instances": [ROW, {**ROW, "city": "Atlantis"}]}, "row 1: feature 'city' must be one of"),
        ({"instances": [{**ROW, "city": None}]}, "row 0: feature 'city' must be a text.*; got null"),
        ({"instances": [{**ROW, "age": float("nan")}]}, "row 0: feature 'age' must be finite; got nan"),
        ({"instances": [ROW, {**ROW, "age": True}]}, "row 1: feature 'age' must be a number; got bool"),
        ({"instances": [{**ROW, "city": ["Zürich"]}]}, "row 0: feature 'city' must be a text.*; got list"),
        ({"instances": [ROW, {**ROW, "extra": 1}]}, "row 1: feature 'extra' must be one of"),
        ({"instances": [{"city": "Zürich"}]}, "row 0: feature 'plan' must be given"),
        ({"inputs": {"city": ["Zürich"]}}, "row 0: feature 'plan' must be given"),
        (b'{"instances": [{"city": ' + b"[" * 900 + b"]" * 900 + b', "plan": "pro", "age": 1, "size": 1}]}', "must"),
        (b'{"instances": ' + b"[" * 90000, "must be JSON"),
    ],
)
def test_bad_body(client: AppClient, body: object, message: str) -> None:
    response = post(client, body)
    assert response.status_code == 400
    assert_error(response, message)


@pytest.mark.parametrize("depth", [2, 90, 900])
def test_deep_tensor(client: AppClient, depth: int) -> None:
    row = {**numbers_rows(1)[0], "vector": "?"}
    nested = "[" * depth + "1" + "]" * depth
    for rows in ([row], [row, row]):
        body = json.dumps({"instances": rows}).replace('"?"', nested).encode()
        response = post(client, body, f"/v1/models/{NUMBERS_NAME}:predict")
        assert response.status_code == 400
        assert_error(response, "must")


def test_limits(client: AppClient) -> None:
    response = post(client, {"instances": [ROW] * 101})
    assert response.status_code == 413
    assert_error(response, "must have 100 rows or fewer; got 101")


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "", "text/plain", "application/ld+json"])
def test_json_by_other_names(client: AppClient, kind: str) -> None:
    assert post(client, {"instances": [ROW]}, content_type=kind).status_code == 200


def test_other_types_of_body(client: AppClient) -> None:
    response = post(client, {"instances": [ROW]}, content_type="application/xml")
    assert response.status_code == 415
    assert_error(
        response, "Content-Type must be application/json or application/vnd.apache.arrow.stream; got 'application/xml'"
    )
    response = post(client, {"instances": [ROW]}, headers={"Content-Encoding": "gzip"})
    assert response.status_code == 415


def test_other_methods(client: AppClient) -> None:
    response = client.delete(PREDICT)
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]
    assert_error(response, "method must be one of GET, HEAD, OPTIONS, POST; got DELETE")
    assert client.head(f"{PREDICT}?{urlencode(ROW)}").status_code == 200


@pytest.mark.parametrize(
    "error, code, told",
    [
        (Unavailable("the disk is away. Try again"), 503, "the disk is away. Try again"),
        (NotFound("not there"), 404, "not there"),
        (DeadlineExceeded("too late"), 504, "too late"),
        (BadArtifact("model.tflite: must be whole"), 500, "model.tflite: must be whole"),
        (EngineBug("an invariant"), 500, "an invariant"),
        (ZeroDivisionError("a secret"), 500, "internal error; see the server's log"),
    ],
)
def test_whose_fault_decides_the_code(
    client: AppClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    code: int,
    told: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Predictor, "infer", fail)
    response = get(client, MISS)
    assert response.status_code == code
    assert response.json == {"error": told}
    assert ("Retry-After" in response.headers) is (code == 503)
    assert bool(caplog.records) is (code == 500)


def test_probes(client: AppClient) -> None:
    assert client.get("/livez").json == {"live": True}
    assert described(client, "/readyz")["models"][FINITE_NAME] == {"production": {"release": 1}}


def test_page_offers_every_feature(client: AppClient) -> None:
    page = client.get("/")
    assert page.content_type == "text/html; charset=utf-8"
    for name in ROW:
        assert f'name="{name}"' in page.text
    assert "<option>Zürich</option>" in page.text
    assert "://" not in page.text  # nothing from elsewhere
    assert f"POST v1/models/{NUMBERS_NAME}:predict" in page.text


def test_metrics_count_by_model_source_and_code(client: AppClient) -> None:
    get(client, ROW)
    get(client, ROW, headers={"If-None-Match": "*"})
    get(client, MISS)
    get(client, {})
    post(client, {"instances": [ROW, ROW, MISS]})
    client.get("/v1/models/evil\n:predict")

    def requests(method: str, source: str, code: int) -> float:
        labels = f'code="{code}",method="{method}",model="synthetic",source="{source}"'
        return metric(client, f"foretable_requests_total{{{labels}}}")

    assert requests("GET", "table", 200) == 1
    assert requests("GET", "table", 304) == 1
    assert requests("GET", "model", 200) == 1
    assert requests("GET", "", 400) == 1
    assert requests("POST", "mixed", 200) == 1
    assert metric(client, 'foretable_table_hits_total{model="synthetic"}') == 4
    assert metric(client, 'foretable_table_misses_total{model="synthetic"}') == 2
    count = 'foretable_request_seconds_count{method="GET",model="synthetic",source="table"}'
    assert metric(client, count) == 2
    assert metric(client, 'foretable_release{label="production",model="synthetic"}') == 1
    assert metric(client, 'foretable_table_corrupt_blocks{label="production",model="synthetic"}') == 0
    assert metric(client, 'foretable_release_age_seconds{label="production",model="synthetic"}') >= 0
    assert "evil" not in client.get("/metrics").text


def stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def test_arrow_stream_answers_good_rows_beside_bad_ones(client: AppClient) -> None:
    rows = [ROW, {**ROW, "city": "Atlantis"}, MISS]
    table = pa.Table.from_pylist(rows)
    response = post(client, stream(table), content_type=ARROW_STREAM)
    assert (response.status_code, response.content_type) == (200, ARROW_STREAM)
    assert response.headers["Foretable-Source"] == "table=1, model=1"
    with pa.ipc.open_stream(response.data) as reader:
        found = reader.read_all().to_pylist()
    wanted = [get(client, row).json["outputs"] for row in (ROW, MISS)]
    for outputs, row in zip(wanted, (found[0], found[2]), strict=True):
        assert np.float32(row["click"]).tobytes() == np.float32(outputs["click"]).tobytes()
    assert [row["source"] for row in found] == ["table", None, "model"]
    assert found[1]["fault"]["feature"] == "city"
    assert metric(client, 'foretable_table_hits_total{model="synthetic"}') == 2
    assert post(client, stream(table)[:-9], content_type=ARROW_STREAM).status_code == 400


def test_arrow_stream_that_would_fill_the_memory(client: AppClient) -> None:
    """100 rows that share one list: written out they are 100 MB."""
    shared = pa.DictionaryArray.from_arrays(pa.array([0] * 100, pa.int8()), pa.array([[True] * 100_000]))
    table = pa.table({name: pa.array([value] * 100) for name, value in ROW.items()})
    response = post(client, stream(table.set_column(0, "city", shared)), content_type=ARROW_STREAM)
    assert_error(response, "feature 'city' must be numbers, texts")


def header(seconds: float) -> dict[str, str]:
    return {"Foretable-Deadline": str(int((time.time() + seconds) * 1000))}


@pytest.mark.parametrize("seconds, code", [(60, 200), (-1, 504)])
def test_deadline(client: AppClient, seconds: float, code: int) -> None:
    assert get(client, MISS, headers=header(seconds)).status_code == code
    for rows in ([MISS], [MISS, ROW]):
        assert post(client, {"instances": rows}, headers=header(seconds)).status_code == code
    assert (
        post(
            client, stream(pa.Table.from_pylist([MISS])), content_type=ARROW_STREAM, headers=header(seconds)
        ).status_code
        == code
    )
    assert get(client, ROW, headers=header(seconds)).json["source"] == "table"  # needs no waiting


@pytest.mark.parametrize("text", ["", "soon", "-1", "1e3", "9" * 30, "0" * 5000, "٣"])
def test_deadline_that_is_none(client: AppClient, text: str) -> None:
    response = get(client, MISS, headers={"Foretable-Deadline": text})
    assert response.status_code == 400
    assert_error(response, "Foretable-Deadline must be Unix time in milliseconds")


def test_default_stands_in_for_a_late_answer(
    client: AppClient, served: tuple[ServeConfig, ServedHolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = served[1].get(FINITE_NAME).predictor
    monkeypatch.setattr(predictor, "default", np.array([[0.5, 0.25, 0.75]], np.float32))
    found = get(client, MISS, headers=header(-1))
    assert (found.json["source"], found.json["outputs"]) == ("default", {"click": 0.5, "share": [0.25, 0.75]})
    assert (found.headers["Cache-Control"], "ETag" in found.headers) == ("no-store", False)
    body = post(client, {"instances": [MISS, ROW]}, headers=header(-1))
    assert body.json["predictions"] == [{"click": 0.5, "share": [0.25, 0.75]}] * 2
    assert body.headers["Foretable-Source"] == "default"


class Stage:
    """An application whose model waits until it may go on, and is not quick."""

    def __init__(
        self, served: tuple[ServeConfig, ServedHolder], monkeypatch: pytest.MonkeyPatch, **settings: Any
    ) -> None:
        config, holder = served
        self.asked, self.go_on, infer = threading.Event(), threading.Event(), Predictor.infer_raw

        def wait(*arguments: Any, **options: Any) -> Any:
            self.asked.set()
            assert self.go_on.wait(60)
            return infer(*arguments, **options)

        monkeypatch.setattr(Predictor, "infer_raw", wait)
        slow = [dataclasses.replace(each, quick=False) for each in holder.current.values()]
        front = create_app(ServedHolder(slow, holder.labels), dataclasses.replace(config, **settings))
        self.client = AppClient(front)

    def close(self) -> None:
        self.go_on.set()
        self.client.close()


def test_full_server_refuses_all_but_lookups(
    served: tuple[ServeConfig, ServedHolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Stage(served, monkeypatch, max_concurrent=1)) as stage:
        client = stage.client
        first = client.begin("POST", PREDICT, {}, json.dumps({"instances": [MISS]}))
        shed, missed, lookup = post(client, {"instances": [ROW]}), get(client, MISS), get(client, ROW)
        under_way = metric(client, "foretable_requests_under_way")
        stage.go_on.set()
        assert client.end(first).status_code == 200
        assert (shed.status_code, missed.status_code, lookup.status_code, under_way) == (503, 503, 200, 1)
        assert shed.headers["Retry-After"] == "1"
        assert_error(shed, "1 requests are under way already")
        assert metric(client, "foretable_sheds_total") == 2
        assert metric(client, "foretable_requests_under_way") == 0


@pytest.mark.parametrize("default, code", [(None, 504), ([[0.5, 0.25, 0.75]], 200)])
def test_deadline_passes_while_others_have_the_threads(
    served: tuple[ServeConfig, ServedHolder], monkeypatch: pytest.MonkeyPatch, default: Any, code: int
) -> None:
    predictor = served[1].get(FINITE_NAME).predictor
    monkeypatch.setattr(predictor, "default", None if default is None else np.array(default, np.float32))
    with closing(Stage(served, monkeypatch, threads=1)) as stage:
        client = stage.client
        first = client.begin("GET", f"{PREDICT}?{urlencode(MISS)}")
        assert stage.asked.wait(60)
        stage_infer = Predictor.infer_raw

        def late(*arguments: Any, **options: Any) -> Any:
            assert options["deadline"] <= time.time()
            message = "too late"
            raise DeadlineExceeded(message)

        monkeypatch.setattr(Predictor, "infer_raw", late)
        waiting = client.begin("GET", f"{PREDICT}?{urlencode(MISS)}", header(0.05))
        found = client.end(waiting)
        monkeypatch.setattr(Predictor, "infer_raw", stage_infer)
        assert not first.done()
        assert found.status_code == code
        if code == 200:
            assert found.json["source"] == "default"
        stage.go_on.set()
        assert client.end(first).status_code == 200


def test_compute_is_counted_apart_from_the_request(client: AppClient) -> None:
    get(client, ROW)
    get(client, MISS)
    post(client, {"instances": [ROW, MISS]})
    count = 'foretable_compute_seconds_{}{{model="synthetic",source="{}"}}'
    assert metric(client, count.format("count", "model")) == 1
    assert metric(client, count.format("count", "mixed")) == 1
    whole = metric(client, 'foretable_request_seconds_sum{method="POST",model="synthetic",source="mixed"}')
    assert 0 < metric(client, count.format("sum", "mixed")) < whole


def assert_error(response: Any, message: str) -> None:
    assert list(response.json) == ["error"]
    assert re.search(message, response.json["error"]), response.json["error"]
    assert response.headers["Cache-Control"] == "no-store"
    assert response.content_type == "application/json"
