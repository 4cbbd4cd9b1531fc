"""The real program, asked by Triton's own client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tritonclient.http import (  # type: ignore[import-untyped]
    InferenceServerClient,
    InferInput,
    InferRequestedOutput,
    InferResult,
)
from tritonclient.utils import InferenceServerException, np_to_triton_dtype  # type: ignore[import-untyped]

from tests.support.serving import ServerProcess
from tests.support.synthetic import FINITE_NAME, NUMBERS_NAME, numbers_rows

Rows = list[dict[str, Any]]
ROWS: Rows = [
    {"city": "São Paulo", "plan": "pro", "age": 33, "size": "2"},
    {"city": "東京", "plan": "unheard of", "age": 7, "size": "1"},
    {"city": "naïve café 🍰", "plan": "7", "age": 99, "size": "nobody's"},
]


@pytest.fixture(scope="module")
def server(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    logs = tmp_path_factory.mktemp("logs") / "server"
    with ServerProcess(published, "--max-body-bytes", "100000", "--max-rows", "1000", logs=logs) as running:
        yield running
        assert "Traceback" not in running.log


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Any]:
    with InferenceServerClient(f"127.0.0.1:{server.port}", concurrency=4) as opened:
        yield opened


def tensor(name: str, values: npt.NDArray[Any], *, binary: bool) -> Any:
    found = InferInput(name, list(values.shape), np_to_triton_dtype(values.dtype))
    found.set_data_from_numpy(values, binary_data=binary)
    return found


def tensors(rows: Rows, *, binary: bool, **dtypes: type) -> list[Any]:
    """A tensor a feature; texts where no other dtype is named."""
    return [
        tensor(name, np.array([row[name] for row in rows], dtypes.get(name, np.object_)), binary=binary)
        for name in rows[0]
    ]


def predictions(server: ServerProcess, model: str, rows: Rows) -> Rows:
    """The answers by TensorFlow Serving's body."""
    status, _, body = server.request(f"/v1/models/{model}:predict", {"instances": rows})
    assert status == 200
    found: Rows = json.loads(body)["predictions"]
    return found


def assert_answers(result: InferResult, expected: Rows) -> None:
    for name in ("click", "share"):
        wanted = np.array([row[name] for row in expected], np.float32)
        found = result.as_numpy(name)
        assert (found.dtype, found.shape) == (np.float32, wanted.shape)
        assert found.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("age", [np.object_, np.int8, np.uint64, np.float16, np.float64])
def test_answers_are_those_of_the_other_protocol(server: ServerProcess, client: Any, binary: bool, age: type) -> None:
    result = client.infer(FINITE_NAME, tensors(ROWS, binary=binary, age=age), request_id="42")
    assert_answers(result, predictions(server, FINITE_NAME, ROWS))
    said = result.get_response()
    assert (said["model_name"], said["model_version"], said["id"]) == (FINITE_NAME, "1", "42")
    assert said["parameters"] == {"source": "table=2, model=1", "release": 1}


def test_numbers_and_tensors(server: ServerProcess, client: Any) -> None:
    rows = numbers_rows(300)
    inputs = tensors(rows, binary=True, price=np.float64, vector=np.float32, distance=np.int32)
    assert_answers(client.infer(NUMBERS_NAME, inputs), predictions(server, NUMBERS_NAME, rows))


def test_binary_beside_json(server: ServerProcess, client: Any) -> None:
    inputs = tensors(ROWS, binary=False, age=np.int64)
    inputs[0] = tensor("city", np.array([[row["city"]] for row in ROWS], np.object_), binary=True)
    inputs[2] = tensor("age", np.array([[row["age"]] for row in ROWS], np.int64), binary=True)
    outputs = [InferRequestedOutput("click", binary_data=False), InferRequestedOutput("share")]
    assert_answers(client.infer(FINITE_NAME, inputs, outputs=outputs), predictions(server, FINITE_NAME, ROWS))


def test_only_what_is_asked(client: Any) -> None:
    inputs = tensors(ROWS, binary=True, age=np.int32)
    result = client.infer(FINITE_NAME, inputs, model_version="1", outputs=[InferRequestedOutput("share")])
    assert result.as_numpy("share").shape == (3, 2)
    assert result.as_numpy("click") is None


def test_many_at_once(server: ServerProcess, client: Any) -> None:
    asked = [(rows, client.async_infer(NUMBERS_NAME, inputs)) for rows, inputs in some_requests(8)]
    for rows, answer in asked:
        assert_answers(answer.get_result(), predictions(server, NUMBERS_NAME, rows))


def some_requests(count: int) -> Iterator[tuple[Rows, list[Any]]]:
    for seed in range(count):
        rows = numbers_rows(3, seed)
        yield rows, tensors(rows, binary=bool(seed % 2), price=np.float64, vector=np.float32, distance=np.int32)


def test_metadata(client: Any) -> None:
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    described = client.get_model_metadata(FINITE_NAME)
    assert described == client.get_model_metadata(FINITE_NAME, "1")
    assert described["versions"] == ["1"]
    assert [(each["name"], each["datatype"], each["shape"]) for each in described["inputs"]] == [
        ("city", "BYTES", [-1]),
        ("plan", "BYTES", [-1]),
        ("age", "FP32", [-1]),
        ("size", "BYTES", [-1]),
    ]


def test_what_the_metadata_says_can_be_sent(client: Any) -> None:
    dtypes = {"BYTES": np.object_, "FP32": np.float32}
    inputs = client.get_model_metadata(FINITE_NAME)["inputs"]
    named = {each["name"]: dtypes[each["datatype"]] for each in inputs}
    assert client.infer(FINITE_NAME, tensors(ROWS, binary=True, **named)).as_numpy("click").shape == (3,)


def test_readiness(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(FINITE_NAME)
    assert client.is_model_ready(FINITE_NAME, "1")
    assert not client.is_model_ready(FINITE_NAME, "2")
    assert not client.is_model_ready("nobody's")


def test_errors(client: Any) -> None:
    def told(model: str, rows: Rows, **options: Any) -> tuple[str, str]:
        with pytest.raises(InferenceServerException) as raised:
            client.infer(model, tensors(rows, binary=True), **options)
        return raised.value.status(), raised.value.message()

    status, message = told(FINITE_NAME, [*ROWS, {**ROWS[0], "city": "nowhere"}])
    assert status == "400"
    assert message.startswith("row 3: feature 'city' must be one of Zürich")
    status, message = told("nobody's", ROWS)
    assert (status, message.partition(";")[0]) == ("404", f"model must be one of {NUMBERS_NAME}, {FINITE_NAME}")
    assert told(FINITE_NAME, ROWS, model_version="9")[0] == "404"
    assert told(FINITE_NAME, ROWS * 400) == (
        "413",
        "a request must have 1000 rows or fewer; got 1200. Send several requests",
    )
    assert told(FINITE_NAME, ROWS, sequence_id=7)[0] == "400"
    assert told(FINITE_NAME, ROWS, outputs=[InferRequestedOutput("click", class_count=2)])[0] == "400"
    assert told(FINITE_NAME, ROWS, outputs=[InferRequestedOutput("clicks")])[0] == "400"
    assert told(FINITE_NAME, ROWS, request_compression_algorithm="gzip")[0] == "415"
