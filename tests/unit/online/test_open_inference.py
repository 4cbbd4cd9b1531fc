"""The routes of the Open Inference Protocol, without a socket."""

from __future__ import annotations

import json
import struct
import time
from typing import Any

import numpy as np
import pytest

from engine.errors import DeadlineExceeded
from engine.predictor import Predictor
from tests.support.app_client import AppClient, Response
from tests.support.open_inference import Inputs, byte_strings, infer_body
from tests.support.synthetic import FINITE_NAME, NUMBERS_NAME, numbers_rows

INFER = f"/v2/models/{FINITE_NAME}/infer"
ROWS = [
    {"city": "São Paulo", "plan": "pro", "age": 33, "size": "2"},
    {"city": "東京", "plan": "unheard of", "age": 7, "size": "1"},
    {"city": "city 3", "plan": "7", "age": 99, "size": "nobody's"},
]
TEXTS = ("city", "plan", "size")
BINARY: Inputs = {
    **{name: ("BYTES", [3], byte_strings(*(str(row[name]) for row in ROWS))) for name in TEXTS},
    "age": ("INT32", [3, 1], struct.pack("<3i", 33, 7, 99)),
}
PLAIN: Inputs = {
    **{name: ("BYTES", [3, 1], [str(row[name]) for row in ROWS]) for name in TEXTS},
    "age": ("FP32", [3], [33, 7, 99]),
}


def infer(client: AppClient, inputs: Inputs, path: str = INFER, **fields: Any) -> Response:
    body, header = infer_body(inputs, **fields)
    headers = {} if header is None else {"Inference-Header-Content-Length": header}
    return client.post(path, data=body, headers=headers)


def answered(client: AppClient, model: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Answers of TensorFlow Serving's body."""
    response = client.post(f"/v1/models/{model}:predict", data=json.dumps({"instances": rows}))
    assert response.status_code == 200
    found: list[dict[str, Any]] = response.json["predictions"]
    return found


def outputs_of(response: Response) -> dict[str, np.ndarray[Any, Any]]:
    """The outputs of a response, in JSON or binary, with their shapes."""
    length = int(response.headers.get("Inference-Header-Content-Length", len(response.data)))
    document, binary = json.loads(response.data[:length]), response.data[length:]
    found = {}
    for output in document["outputs"]:
        assert output["datatype"] == "FP32"
        if "data" in output:
            values = np.array(output["data"], "<f4")
        else:
            size = output["parameters"]["binary_data_size"]
            values, binary = np.frombuffer(binary[:size], "<f4"), binary[size:]
        found[output["name"]] = values.reshape(output["shape"])
    assert not binary
    return found


@pytest.mark.parametrize("inputs", [BINARY, PLAIN])
@pytest.mark.parametrize("binary", [False, True])
def test_answers_are_those_of_the_other_protocol(client: AppClient, inputs: Inputs, binary: bool) -> None:
    response = infer(client, inputs, parameters={"binary_data_output": binary})
    assert response.status_code == 200
    expected = answered(client, FINITE_NAME, ROWS)
    found = outputs_of(response)
    assert found["click"].tobytes() == np.array([row["click"] for row in expected], "<f4").tobytes()
    assert found["share"].tobytes() == np.array([row["share"] for row in expected], "<f4").tobytes()
    assert (found["click"].shape, found["share"].shape) == ((3,), (3, 2))
    assert response.content_type == ("application/octet-stream" if binary else "application/json")


def test_numbers_and_tensors(client: AppClient) -> None:
    rows = numbers_rows(5)
    inputs: Inputs = {
        "price": ("FP64", [5], np.array([row["price"] for row in rows], "<f8").tobytes()),
        "plan": ("BYTES", [5], [str(row["plan"]) for row in rows]),
        "vector": ("FP32", [5, 2, 3], np.array([row["vector"] for row in rows], "<f4").tobytes()),
        "distance": ("INT8", [5], [row["distance"] for row in rows]),
    }
    found = outputs_of(infer(client, inputs, f"/v2/models/{NUMBERS_NAME}/infer"))
    expected = answered(client, NUMBERS_NAME, rows)
    assert found["share"].tobytes() == np.array([row["share"] for row in expected], "<f4").tobytes()


def test_the_response_says_what_answered(client: AppClient) -> None:
    response = infer(client, PLAIN, f"/v2/models/{FINITE_NAME}/versions/1/infer", id="42", outputs=[{"name": "share"}])
    document = response.json
    assert [output["name"] for output in document.pop("outputs")] == ["share"]
    assert document == {
        "model_name": FINITE_NAME,
        "model_version": "1",
        "id": "42",
        "parameters": {"source": "table=2, model=1", "release": 1},
    }
    assert response.headers["Foretable-Source"] == "table=2, model=1"
    assert response.headers["Cache-Control"] == "no-store"


def test_one_source_is_one_word(client: AppClient) -> None:
    one: Inputs = {
        "city": ("BYTES", [1], ["Zürich"]),
        "plan": ("INT8", [1], [7]),
        "age": ("UINT8", [1], [33]),
        "size": ("BYTES", [1], ["1"]),
    }
    assert infer(client, one).json["parameters"] == {"source": "table", "release": 1}
    error = infer(client, {**one, "city": ("BYTES", [1], ["nowhere"])}).json["error"]
    assert error.startswith("row 0: feature 'city' must be one of Zürich")


def test_a_row_alone_is_answered_as_among_others(client: AppClient) -> None:
    rows = numbers_rows(3)
    for row in (0, 1, 2, slice(0, 3)):
        some = np.atleast_1d(np.arange(3)[row])
        inputs: Inputs = {
            "price": ("FP64", [len(some)], np.array([rows[i]["price"] for i in some], "<f8").tobytes()),
            "plan": ("BYTES", [len(some)], byte_strings(*(str(rows[i]["plan"]) for i in some))),
            "vector": ("FP32", [len(some), 2, 3], np.array([rows[i]["vector"] for i in some], "<f4").tobytes()),
            "distance": ("FP16", [len(some)], np.array([rows[i]["distance"] for i in some], "<f2").tobytes()),
        }
        found = outputs_of(infer(client, inputs, f"/v2/models/{NUMBERS_NAME}/infer"))
        expected = [answered(client, NUMBERS_NAME, rows)[i] for i in some]
        assert found["share"].tobytes() == np.array([row["share"] for row in expected], "<f4").tobytes()


def test_only_what_is_asked_is_binary(client: AppClient) -> None:
    response = infer(
        client, BINARY, outputs=[{"name": "click"}, {"name": "share", "parameters": {"binary_data": True}}]
    )
    length = int(response.headers["Inference-Header-Content-Length"])
    click, share = json.loads(response.data[:length])["outputs"]
    assert list(click) == ["name", "datatype", "shape", "data"]
    assert share["parameters"] == {"binary_data_size": 24}
    assert len(response.data) == length + 24


@pytest.mark.parametrize(
    "change, code, message",
    [
        ({"city": ("BYTES", [3], ["Zürich", "nowhere", "x"])}, 400, "row 1: feature 'city' must be one of Zürich"),
        ({"age": ("FP32", [3], np.array([1, 2, np.nan], "<f4").tobytes())}, 400, "row 2: feature 'age' must be finite"),
        ({"age": ("BOOL", [3], [True] * 3)}, 400, "row 0: feature 'age' must be a number; got bool 'True'"),
        ({"city": ("BYTES", [3], byte_strings("x", "y", b"\xff"))}, 400, "row 2: feature 'city' must be text in UTF-8"),
        ({"city": ("BYTES", [101], ["Zürich"] * 101)}, 413, "a request must have 100 rows or fewer; got 101"),
    ],
)
def test_errors_name_row_feature_and_cause(client: AppClient, change: Inputs, code: int, message: str) -> None:
    response = infer(client, {**PLAIN, **change})
    assert response.status_code == code
    assert response.json["error"].startswith(message)


@pytest.mark.parametrize(
    "path", ["/v2/models/none", "/v2/models/none/ready", f"/v2/models/{FINITE_NAME}/versions/2", "/v2/models/a/b/c"]
)
def test_what_is_not_served(client: AppClient, path: str) -> None:
    assert client.get(path).status_code == 404
    assert client.post(f"{path}/infer").status_code in {404, 405}


def test_other_types_of_bodies_are_not_read(client: AppClient) -> None:
    response = client.post(INFER, data=b"{}", content_type="image/png")
    assert response.status_code == 415
    assert response.json["error"].startswith("Content-Type must be one of application/json, application/octet")


def test_a_timeout_is_a_deadline(client: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines: list[float] = []

    def late(predictor: Predictor, table: object, *, deadline: float) -> None:
        deadlines.append(deadline)
        message = "the answer must be there by its deadline"
        raise DeadlineExceeded(message)

    monkeypatch.setattr(Predictor, "predict", late)
    before = time.time()
    for header in ({}, {"Foretable-Deadline": "1000"}):
        body, _ = infer_body(PLAIN, parameters={"timeout": 60_000_000})
        assert client.post(INFER, data=body, headers=header).status_code == 504
    assert before + 60 <= deadlines[0] <= time.time() + 60
    assert deadlines[1] == 1


def test_metadata(client: AppClient) -> None:
    for path in (f"/v2/models/{NUMBERS_NAME}", f"/v2/models/{NUMBERS_NAME}/versions/1"):
        assert client.get(path).json == {
            "name": NUMBERS_NAME,
            "versions": ["1"],
            "platform": "litert_tflite",
            "inputs": [
                {"name": "price", "datatype": "FP32", "shape": [-1]},
                {"name": "plan", "datatype": "BYTES", "shape": [-1]},
                {"name": "vector", "datatype": "FP32", "shape": [-1, 2, 3]},
                {"name": "distance", "datatype": "FP32", "shape": [-1]},
            ],
            "outputs": [
                {"name": "click", "datatype": "FP32", "shape": [-1]},
                {"name": "share", "datatype": "FP32", "shape": [-1, 2]},
            ],
        }


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_the_server_says_what_it_is(client: AppClient, path: str) -> None:
    document = client.get(path).json
    assert (document["name"], document["extensions"]) == ("foretable", ["binary_tensor_data"])


def test_health(client: AppClient) -> None:
    assert client.get("/v2/health/live").json == {"live": True}
    assert client.get("/v2/health/ready").json == {"ready": True}
    assert client.get(f"/v2/models/{FINITE_NAME}/ready").json == {"name": FINITE_NAME, "ready": True}


def test_requests_are_counted_as_the_models(client: AppClient) -> None:
    infer(client, PLAIN)
    text = client.get("/metrics").text
    assert f'model="{FINITE_NAME}"' in text
    assert 'source="mixed"' in text


@pytest.mark.parametrize("identifier", [{}, {"id": "r-1"}])
@pytest.mark.parametrize("plan", ["pro", "unheard of"])
def test_shortest_path_gives_the_same_bytes(client: AppClient, plan: str, identifier: dict[str, str]) -> None:
    inputs: Inputs = {name: ("BYTES", [1, 1], [str(value)]) for name, value in {**ROWS[0], "plan": plan}.items()}
    short, long = infer(client, inputs, **identifier), infer(client, inputs, **identifier, parameters={})
    assert short.status_code == 200
    assert short.data == long.data
    names = set(short.headers) - {"X-Request-Id", "Server-Timing"}
    assert {name: short.headers[name] for name in names} == {name: long.headers[name] for name in names}
