"""Rows that come in one turn of the event loop: answered together as each alone."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from engine.inputs import Inputs
from engine.runtime import FEW_ROWS, Runtime
from online.app import create_app
from online.config import ServeConfig
from online.http.request import Request
from online.served import ServedHolder
from tests.support.app_client import AppClient
from tests.support.synthetic import CITIES, FINITE_NAME, NUMBERS_NAME, numbers_rows

PREDICT = f"/v1/models/{FINITE_NAME}:predict"
MISSES = [{"city": CITIES[n % 30], "plan": f"plan {n}", "age": n % 101, "size": "2"} for n in range(FEW_ROWS + 8)]
BODIES = [json.dumps({"instances": [row]}) for row in MISSES]


@pytest.fixture
def quick(served: tuple[ServeConfig, ServedHolder]) -> Iterator[AppClient]:
    """A client of models that count as quick, whatever this machine has to do."""
    config, holder = served
    measured = [dataclasses.replace(each, quick=True) for each in holder.current.values()]
    with closing(AppClient(create_app(ServedHolder(measured, holder.labels), config))) as made:
        yield made


class Calls:
    """Notes of how many rows each call of LiteRT was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows: list[int] = []
        for name in ("infer", "infer_few"):
            monkeypatch.setattr(Runtime, name, self._noting(getattr(Runtime, name)))

    def _noting(self, method: Any) -> Any:
        def noted(runtime: Runtime, inputs: Inputs, **options: Any) -> Any:
            self.rows.append(len(inputs))
            return method(runtime, inputs, **options)

        return noted


@pytest.mark.parametrize(
    "count, calls", [(1, [1]), (2, [1, 1]), (3, [3]), (FEW_ROWS, [FEW_ROWS]), (FEW_ROWS + 4, [FEW_ROWS, 4])]
)
def test_few_calls_answer_all_as_each_alone(
    quick: AppClient, monkeypatch: pytest.MonkeyPatch, count: int, calls: list[int]
) -> None:
    wanted = [quick.post(PREDICT, body).data for body in BODIES[:count]]
    counted = Calls(monkeypatch)
    found = quick.post_together(PREDICT, BODIES[:count])
    assert [each.data for each in found] == wanted
    assert {each.headers["Foretable-Source"] for each in found} == {"model"}
    assert counted.rows == calls
    assert len(set(wanted)) == count


def test_bad_rows_and_lookups_go_their_own_way(quick: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = json.dumps({"instances": [{**MISSES[0], "city": "Atlantis"}]})
    hit = json.dumps({"instances": [{**MISSES[0], "plan": "pro"}]})
    counted = Calls(monkeypatch)
    found = quick.post_together(PREDICT, [BODIES[0], bad, hit, BODIES[1], "{", BODIES[2]])
    assert [each.status_code for each in found] == [200, 400, 200, 200, 400, 200]
    assert found[2].headers["Foretable-Source"] == "table"
    assert counted.rows == [3]


def test_rows_with_numbers_and_tensors(quick: AppClient) -> None:
    path = f"/v1/models/{NUMBERS_NAME}:predict"
    bodies = [json.dumps({"instances": [row]}) for row in numbers_rows(5)]
    wanted = [quick.post(path, body).data for body in bodies]
    assert [each.data for each in quick.post_together(path, bodies)] == wanted


def test_a_row_whose_answer_is_not_finite_fails_alone(quick: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    poison, infer_few, infer = MISSES[1]["age"], Runtime.infer_few, Runtime.infer

    def spoilt(inputs: Inputs, values: npt.NDArray[np.float32] | None) -> npt.NDArray[np.float32]:
        assert values is not None
        return np.where((inputs.index[2] == poison)[:, np.newaxis], np.float32("nan"), values)

    monkeypatch.setattr(Runtime, "infer_few", lambda self, inputs: spoilt(inputs, infer_few(self, inputs)))
    monkeypatch.setattr(
        Runtime, "infer", lambda self, inputs, deadline=None: spoilt(inputs, infer(self, inputs, deadline=deadline))
    )
    found = quick.post_together(PREDICT, BODIES[:4])
    assert [each.status_code for each in found] == [200, 400, 200, 200]
    assert found[1].json["error"].startswith("row 0: an answer must be finite")


def test_a_deadline_that_has_passed_is_its_own_requests(quick: AppClient) -> None:
    late = {"Foretable-Deadline": str(round((time.time() - 1) * 1000))}
    found = quick.post_together(PREDICT, BODIES[:3], late)
    assert [each.status_code for each in found] == [504] * 3
    soon = {"Foretable-Deadline": str(round((time.time() + 60) * 1000))}
    assert [each.status_code for each in quick.post_together(PREDICT, BODIES[:3], soon)] == [200] * 3


def test_nobody_waits_for_an_interpreter_that_a_body_has(
    served: tuple[ServeConfig, ServedHolder], quick: AppClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [quick.post(PREDICT, body).data for body in BODIES[:4]]
    runtime = served[1].get(FINITE_NAME).predictor._runtime
    pool = runtime._pools[FEW_ROWS]
    taken = [pool.take() for _ in range(served[0].threads)]
    counted = Calls(monkeypatch)
    try:
        assert [each.data for each in quick.post_together(PREDICT, BODIES[:4])] == wanted
    finally:
        for interpreter in taken:
            pool.put(interpreter)
    assert counted.rows == [4, 1, 1, 1, 1]


def test_a_call_that_fails_leaves_no_request_without_an_answer(
    quick: AppClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        message = "no memory"
        raise RuntimeError(message)

    wanted = [quick.post(PREDICT, body).data for body in BODIES[:4]]
    monkeypatch.setattr(Runtime, "infer_few", fail)
    assert [each.data for each in quick.post_together(PREDICT, BODIES[:4])] == wanted
    monkeypatch.setattr(Runtime, "infer", fail)
    assert [each.status_code for each in quick.post_together(PREDICT, BODIES[:4])] == [500] * 4


def test_a_reply_that_cannot_be_finished_costs_the_others_nothing(
    quick: AppClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    finish, left = quick.front._turn._finish, [1]

    def fail(*arguments: Any) -> Any:
        if left:
            left.pop()
            raise ZeroDivisionError
        return finish(*arguments)

    monkeypatch.setattr(quick.front._turn, "_finish", fail)
    requests = [Request("POST", PREDICT.encode(), {}, body=body.encode()) for body in BODIES[:4]]
    _, *others = quick.begin_together(requests)
    assert [quick.end(each).status_code for each in others] == [200] * 3
    assert "could not be answered" in caplog.text
